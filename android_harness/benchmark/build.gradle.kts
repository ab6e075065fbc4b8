plugins {
    alias(libs.plugins.android.application)
}

android {
    namespace = "io.github.sqsamdeploy.benchmark"
    compileSdk = libs.versions.compile.sdk.get().toInt()

    defaultConfig {
        applicationId = "io.github.sqsamdeploy.benchmark"
        // Before, a phone does not tell how hot it is.
        minSdk = 29
        targetSdk = libs.versions.compile.sdk.get().toInt()
        versionCode = 1
        versionName = "1"
        ndk { abiFilters += listOf("arm64-v8a", "x86_64") }
        // What the result names as the runtimes' versions.
        mapOf("LITERT" to libs.versions.litert, "EXECUTORCH" to libs.versions.executorch, "ONNXRUNTIME" to libs.versions.onnxruntime)
            .forEach { (name, version) -> buildConfigField("String", name, "\"${version.get()}\"") }
    }

    buildFeatures { buildConfig = true }

    buildTypes {
        release {
            isMinifyEnabled = true
            proguardFiles(getDefaultProguardFile("proguard-android-optimize.txt"))
            // It is installed over a cable and never published.
            signingConfig = signingConfigs.getByName("debug")
        }
    }

    testOptions { unitTests.all { it.useJUnitPlatform() } }
}

dependencies {
    implementation(project(":core"))
    implementation(project(":litert"))
    implementation(project(":executorch"))
    implementation(project(":onnx"))
    testImplementation(libs.json)
    testImplementation(libs.kotlin.test.junit5)
    testImplementation(libs.junit)
    testRuntimeOnly(libs.junit.launcher)
}
