// swift-tools-version:5.9
import Foundation
import PackageDescription

// The manifest is also linked into the repository's root, where a package that is added by its
// address must have one; the sources are in ios_harness/ then.
let isRoot = FileManager.default.fileExists(atPath: Context.packageDirectory + "/ios_harness")
let folder = isRoot ? "ios_harness/" : ""

func source(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(name: name, dependencies: dependencies, path: "\(folder)Sources/\(name)")
}

func test(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .testTarget(name: name, dependencies: dependencies, path: "\(folder)Tests/\(name)")
}

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
        source("SqueezeSAMCore"),
        source("SqueezeSAMCoreML", ["SqueezeSAMCore"]),
        source("SqueezeSAMUI", ["SqueezeSAMCore", "SqueezeSAMCoreML"]),
        source("SqueezeSAMBenchmark", ["SqueezeSAMCore"]),
        source("SqueezeSAMVectors", ["SqueezeSAMCore"]),
        .executableTarget(
            name: "squeezesam",
            dependencies: ["SqueezeSAMCore", "SqueezeSAMCoreML", "SqueezeSAMVectors"],
            path: "\(folder)Sources/squeezesam"),
        test("SqueezeSAMCoreTests", ["SqueezeSAMCore", "SqueezeSAMVectors"]),
        test("SqueezeSAMBenchmarkTests", ["SqueezeSAMBenchmark", "SqueezeSAMCore"]),
    ]
)
