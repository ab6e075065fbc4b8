// swift-tools-version:5.9
import PackageDescription

let package = Package(
    name: "SqueezeSAM",
    platforms: [.iOS(.v16), .macOS(.v13)],
    products: [
        .library(name: "SqueezeSAMCore", targets: ["SqueezeSAMCore"]),
        .library(name: "SqueezeSAMCoreML", targets: ["SqueezeSAMCoreML"]),
        .library(name: "SqueezeSAMUI", targets: ["SqueezeSAMUI"]),
        .library(name: "SqueezeSAMBenchmark", targets: ["SqueezeSAMBenchmark"]),
        .executable(name: "squeezesam", targets: ["squeezesam"]),
    ],
    targets: [
        .target(name: "SqueezeSAMCore"),
        .target(name: "SqueezeSAMCoreML", dependencies: ["SqueezeSAMCore"]),
        .target(name: "SqueezeSAMUI", dependencies: ["SqueezeSAMCore", "SqueezeSAMCoreML"]),
        .target(name: "SqueezeSAMBenchmark", dependencies: ["SqueezeSAMCore"]),
        .target(name: "SqueezeSAMVectors", dependencies: ["SqueezeSAMCore"]),
        .executableTarget(
            name: "squeezesam",
            dependencies: ["SqueezeSAMCore", "SqueezeSAMCoreML", "SqueezeSAMVectors"]),
        .testTarget(
            name: "SqueezeSAMCoreTests", dependencies: ["SqueezeSAMCore", "SqueezeSAMVectors"]),
        .testTarget(
            name: "SqueezeSAMBenchmarkTests",
            dependencies: ["SqueezeSAMBenchmark", "SqueezeSAMCore"]),
    ]
)
