import Foundation
import SqueezeSAMCore
import XCTest

final class FileTests: XCTestCase {
    private var folder = URL(fileURLWithPath: "/")

    override func setUpWithError() throws {
        folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    }

    override func tearDownWithError() throws {
        try FileManager.default.removeItem(at: folder)
    }

    /// Digests from NIST's examples and from coreutils.
    func testDigestIsSHA256() throws {
        let known = [
            "": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "abc": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq":
                "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
            String(repeating: "a", count: 1_000_000):
                "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0",
        ]
        for (text, digest) in known {
            let file = folder.appendingPathComponent("file")
            try Data(text.utf8).write(to: file)
            XCTAssertEqual(try artifactDigest(file), digest)
        }
    }

    func testDigestOfAFolderIsThatOfItsListing() throws {
        let inner = folder.appendingPathComponent("a/b")
        try FileManager.default.createDirectory(at: inner, withIntermediateDirectories: true)
        try Data("abc".utf8).write(to: inner.appendingPathComponent("z"))
        try Data().write(to: folder.appendingPathComponent("Z"))
        // printf '%s  Z\n%s  a/b/z\n' $(sha256sum /dev/null) $(printf abc | sha256sum) | sha256sum
        XCTAssertEqual(
            try artifactDigest(folder),
            "18c7abecd138f682b2eb1f4470b2c88cd3506bd602a7d8cd673df5ddfa8c1a21")
    }

    func testBrokenManifestIsRefusedByName() throws {
        XCTAssertThrowsError(try ModelPackage(folder: folder)) { error in
            XCTAssertTrue("\(error)".contains("manifest.json"))
        }
        try Data("{".utf8).write(to: folder.appendingPathComponent("manifest.json"))
        XCTAssertThrowsError(try ModelPackage(folder: folder))
    }

    func testModelIsCompiledOnceAndFoundAgain() async throws {
        let counter = Counter()
        let make: @Sendable (URL) async throws -> URL = { package in
            await counter.count()
            try await Task.sleep(nanoseconds: 20_000_000)
            return try pretendToCompile(package)
        }
        let cache = CompiledModels(folder: folder.appendingPathComponent("cache"), compile: make)
        let package = folder
        async let first = cache.url(of: package, key: "k")
        async let second = cache.url(of: package, key: "k")
        let (one, two) = try await (first, second)
        XCTAssertEqual(one, two)
        let other = CompiledModels(folder: folder.appendingPathComponent("cache"), compile: make)
        let third = try await other.url(of: folder, key: "k")
        XCTAssertEqual(one, third)
        let times = await counter.times
        XCTAssertEqual(times, 1)
    }

    func testAppThatWasEndedWhileCompilingLeavesNothingThatCounts() async throws {
        let place = folder.appendingPathComponent("cache")
        try FileManager.default.createDirectory(
            at: place.appendingPathComponent(".partial-half"), withIntermediateDirectories: true)
        let failing = CompiledModels(folder: place) { _ in throw CancellationError() }
        do {
            _ = try await failing.url(of: folder, key: "k")
            XCTFail("it compiled")
        } catch {}
        let before = await failing.isReady("k")
        XCTAssertFalse(before)
        let cache = CompiledModels(folder: place) { try pretendToCompile($0) }
        _ = try await cache.url(of: folder, key: "k")
        XCTAssertEqual(
            try FileManager.default.contentsOfDirectory(atPath: place.path), ["k.mlmodelc"])
        try await cache.discard("k")
        let after = await cache.isReady("k")
        XCTAssertFalse(after)
    }

    func testStridedRowsAreReadInOrder() {
        // 2 x 2 x 3, rows padded to 4, planes to 10.
        let memory = (0..<20).map { Float($0) }
        let values = contiguous(shape: [2, 2, 3], strides: [10, 4, 1]) { memory[$0] }
        XCTAssertEqual(values, [0, 1, 2, 4, 5, 6, 10, 11, 12, 14, 15, 16])
        XCTAssertEqual(contiguous(shape: [3], strides: [2]) { memory[$0] }, [0, 2, 4])
    }

    func testHalfPrecisionByItsBits() {
        let known: [UInt16: Float] = [
            0x0000: 0, 0x3c00: 1, 0xc000: -2, 0x7bff: 65504, 0x0001: 0x1p-24,
            0x3555: 0.333251953125,
            0x0400: 0x1p-14, 0x7c00: .infinity,
        ]
        for (bits, value) in known { XCTAssertEqual(floatOfHalf(bits), value) }
        XCTAssertTrue(floatOfHalf(0x7e00).isNaN)
    }
}

/// A folder as a compiler makes it, inside the package's own.
@Sendable private func pretendToCompile(_ package: URL) throws -> URL {
    let made = package.appendingPathComponent("made-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: made, withIntermediateDirectories: true)
    try Data("whole".utf8).write(to: made.appendingPathComponent("model"))
    return made
}

private actor Counter {
    private(set) var times = 0

    func count() { times += 1 }
}
