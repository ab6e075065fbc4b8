pluginManagement {
    repositories {
        google()
        mavenCentral()
        gradlePluginPortal()
    }
}

dependencyResolutionManagement {
    repositoriesMode = RepositoriesMode.FAIL_ON_PROJECT_REPOS
    repositories {
        google()
        mavenCentral()
    }
}

rootProject.name = "squeezesam"

include(":core", ":android", ":litert", ":executorch", ":onnx", ":compose", ":benchmark", ":sample")

// What sqsam-pull --format android-module -o models left here, for the sample app.
if (file("models/build.gradle.kts").exists()) include(":models")
