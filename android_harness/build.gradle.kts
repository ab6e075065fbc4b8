plugins {
    alias(libs.plugins.android.application) apply false
    alias(libs.plugins.android.library) apply false
    alias(libs.plugins.kotlin.jvm) apply false
    alias(libs.plugins.kotlin.compose) apply false
}

// An app that includes this build names its modules "io.github.sqsamdeploy:core" and so on.
subprojects {
    group = "io.github.sqsamdeploy"

    // The module of sqsam-pull that the sample app takes names them so, from inside this build.
    configurations.configureEach {
        resolutionStrategy.dependencySubstitution {
            for (name in listOf("core", "android", "litert", "executorch", "onnx", "compose")) {
                substitute(module("io.github.sqsamdeploy:$name")).using(project(":$name"))
            }
        }
    }
}
