plugins {
    alias(libs.plugins.android.application) apply false
    alias(libs.plugins.android.library) apply false
    alias(libs.plugins.kotlin.jvm) apply false
    alias(libs.plugins.kotlin.compose) apply false
}

// An app that includes this build names its modules "io.github.sqsamdeploy:core" and so on.
subprojects {
    group = "io.github.sqsamdeploy"
}
