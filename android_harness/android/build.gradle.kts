plugins {
    alias(libs.plugins.android.library)
}

kotlin {
    explicitApi()
}

android {
    namespace = "io.github.sqsamdeploy.android"
    compileSdk = libs.versions.compile.sdk.get().toInt()

    defaultConfig {
        minSdk = libs.versions.min.sdk.get().toInt()
        consumerProguardFiles("consumer-rules.pro")
        testInstrumentationRunner = "androidx.test.runner.AndroidJUnitRunner"
    }
}

dependencies {
    api(project(":core"))
    api(libs.coroutines.android)
    // An app that has camera frames has CameraX; one that has none needs nothing.
    compileOnly(libs.camera.core)
    androidTestImplementation(libs.test.runner)
    androidTestImplementation(libs.junit4)
}
