plugins {
    `java-library`
    alias(libs.plugins.kotlin.jvm)
}

kotlin {
    explicitApi()
    compilerOptions { allWarningsAsErrors = true }
}

java {
    sourceCompatibility = JavaVersion.VERSION_11
    targetCompatibility = JavaVersion.VERSION_11
}

kotlin.compilerOptions.jvmTarget = org.jetbrains.kotlin.gradle.dsl.JvmTarget.JVM_11

dependencies {
    api(libs.coroutines.core)
    // Part of Android; a program on another JVM adds it.
    compileOnly(libs.json)
    testImplementation(libs.json)
    testImplementation(libs.kotlin.test.junit5)
    testImplementation(libs.junit)
    testRuntimeOnly(libs.junit.launcher)
}

tasks.test {
    useJUnitPlatform()
    systemProperty("sqsam.vectors", rootDir.resolve("../tests/vectors"))
}
