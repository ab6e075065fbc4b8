// swift-tools-version:5.9
import PackageDescription

// ExecuTorch's own release of its libraries, pinned by their SHA-256: a branch can move.
let version = "1.5.0"
let checksums = [
    "executorch": "3a861b6f6afd4264033a592309564932d96af758042b5c75574069fc0893313f",
    "backend_coreml": "d194005164750414ce42cfaaad27750c8269bfecec03840a7176b2a2a3d1842d",
    "backend_xnnpack": "df8de2e5fd8134446a10c1e6ad2170d6d3f99658244ce8d6dab977307474009b",
    "kernels_optimized": "57016af23701a3d1a05883a9ed882e30e86c2365bafcc638be6d6754e9e943fe",
    "threadpool": "e036395eadd549dba201e5a9660976cabf978d54e8972d5c37d799d3859e5f4f",
]
let libraries = checksums.keys.sorted()

let package = Package(
    name: "SqueezeSAMExecuTorch",
    platforms: [.iOS(.v17), .macOS(.v14)],
    products: [
        .library(name: "SqueezeSAMExecuTorch", targets: ["SqueezeSAMExecuTorch"])
    ],
    dependencies: [
        .package(name: "SqueezeSAM", path: "..")
    ],
    targets: [
        .target(
            name: "SqueezeSAMExecuTorch",
            dependencies: [.product(name: "SqueezeSAMCore", package: "SqueezeSAM")]
                + libraries.map { .target(name: $0) },
            linkerSettings: [
                .linkedFramework("Accelerate"),
                .linkedFramework("CoreGraphics"),
                .linkedFramework("CoreImage"),
                .linkedFramework("CoreML"),
                .linkedFramework("CoreVideo"),
                .linkedLibrary("c++"),
                .linkedLibrary("sqlite3"),
                // Back ends and kernels register themselves when they are loaded; nothing refers to
                // them, and a linker leaves out what nothing refers to.
                .unsafeFlags(["-Xlinker", "-all_load"]),
            ])
    ]
        + libraries.map { name in
            .binaryTarget(
                name: name,
                url: "https://ossci-ios.s3.amazonaws.com/executorch/\(name)-\(version).zip",
                checksum: checksums[name] ?? "")
        }
)
