plugins {
    alias(libs.plugins.android.application)
    alias(libs.plugins.kotlin.compose)
}

android {
    namespace = "io.github.sqsamdeploy.sample"
    compileSdk = libs.versions.compile.sdk.get().toInt()

    defaultConfig {
        applicationId = "io.github.sqsamdeploy.sample"
        // Before, saving a picture takes a permission.
        minSdk = 29
        targetSdk = libs.versions.compile.sdk.get().toInt()
        versionCode = 1
        versionName = "1"
        // What every one of the runtimes has native libraries for: phones, and the emulator.
        ndk { abiFilters += listOf("arm64-v8a", "x86_64") }
    }

    buildTypes {
        release {
            isMinifyEnabled = true
            proguardFiles(getDefaultProguardFile("proguard-android-optimize.txt"))
            signingConfig = signingConfigs.getByName("debug")
        }
    }

    // Models are mapped out of the APK; compressed ones would be copied out first.
    androidResources { noCompress += listOf("pte", "onnx", "tflite") }

    buildFeatures { compose = true }
}

dependencies {
    implementation(project(":compose"))
    implementation(project(":litert"))
    implementation(project(":executorch"))
    implementation(project(":onnx"))
    implementation(libs.activity.compose)
    implementation(libs.compose.material3)
    // sqsam-pull STORE -o models --format android-module
    findProject(":models")?.let { implementation(it) }
}
