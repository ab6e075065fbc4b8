plugins {
    alias(libs.plugins.android.library)
    alias(libs.plugins.kotlin.compose)
}

kotlin {
    explicitApi()
}

android {
    namespace = "io.github.sqsamdeploy.compose"
    compileSdk = libs.versions.compile.sdk.get().toInt()

    defaultConfig {
        minSdk = libs.versions.min.sdk.get().toInt()
    }

    buildFeatures { compose = true }
}

dependencies {
    api(project(":android"))
    api(platform(libs.compose.bom))
    api(libs.compose.foundation)
    implementation(libs.compose.material3)
}
