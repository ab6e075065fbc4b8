import Foundation

#if canImport(CryptoKit)
import CryptoKit
#endif

/// SHA-256 of an artifact as a manifest states it, in lower-case hex.
///
/// Of a file that of its bytes; of a folder that of its listing.
public func artifactDigest(_ url: URL) throws -> String {
    guard isFolder(url.path) else { return try fileDigest(url) }
    let paths = try FileManager.default.subpathsOfDirectory(atPath: url.path)
        .filter { !isFolder(url.appendingPathComponent($0).path) }
    return listingDigest(
        try paths.map { ($0, try fileDigest(url.appendingPathComponent($0))) })
}

/// Digest of a folder's listing: a line `<sha256>  <path>` for each file, sorted by the path's
/// bytes.
func listingDigest(_ files: [(path: String, sha256: String)]) -> String {
    let sorted = files.sorted { $0.path.utf8.lexicographicallyPrecedes($1.path.utf8) }
    let text = sorted.map { "\($0.sha256)  \($0.path)\n" }.joined()
    var hash = SHA256Digest()
    hash.update(Data(text.utf8))
    return hash.finish()
}

private func fileDigest(_ url: URL) throws -> String {
    let file = try FileHandle(forReadingFrom: url)
    defer { try? file.close() }
    var hash = SHA256Digest()
    while let block = try file.read(upToCount: 1 << 20), !block.isEmpty {
        hash.update(block)
    }
    return hash.finish()
}

private func isFolder(_ path: String) -> Bool {
    var folder: ObjCBool = false
    return FileManager.default.fileExists(atPath: path, isDirectory: &folder) && folder.boolValue
}

#if canImport(CryptoKit)
private struct SHA256Digest {
    private var hash = SHA256()

    mutating func update(_ data: Data) { hash.update(data: data) }

    func finish() -> String { hash.finalize().map { String(format: "%02x", $0) }.joined() }
}
#else
/// FIPS 180-4, for systems without CryptoKit.
private struct SHA256Digest {
    private var state: [UInt32] = [
        0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a,
        0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19,
    ]
    private var rest: [UInt8] = []
    private var length: UInt64 = 0

    mutating func update(_ data: Data) {
        length += UInt64(data.count)
        rest.append(contentsOf: data)
        let whole = rest.count / 64 * 64
        rest.withUnsafeBufferPointer { bytes in
            for start in stride(from: 0, to: whole, by: 64) {
                mix(UnsafeBufferPointer(rebasing: bytes[start..<start + 64]))
            }
        }
        rest.removeFirst(whole)
    }

    mutating func finish() -> String {
        let bits = length * 8
        let zeros = (119 - rest.count % 64) % 64
        var padding: [UInt8] = [0x80]
        padding += [UInt8](repeating: 0, count: zeros)
        withUnsafeBytes(of: bits.bigEndian) { padding += Array($0) }
        update(Data(padding))
        return state.map { String(format: "%08x", $0) }.joined()
    }

    private mutating func mix(_ block: UnsafeBufferPointer<UInt8>) {
        func turned(_ value: UInt32, _ by: UInt32) -> UInt32 { value >> by | value << (32 - by) }
        var words = [UInt32](repeating: 0, count: 64)
        for i in 0..<16 {
            for byte in block[(i * 4)..<(i * 4 + 4)] { words[i] = words[i] << 8 | UInt32(byte) }
        }
        for i in 16..<64 {
            let (a, b) = (words[i - 15], words[i - 2])
            let low: UInt32 = turned(a, 7) ^ turned(a, 18) ^ (a >> 3)
            let high: UInt32 = turned(b, 17) ^ turned(b, 19) ^ (b >> 10)
            words[i] = words[i - 16] &+ low &+ words[i - 7] &+ high
        }
        var (a, b, c, d) = (state[0], state[1], state[2], state[3])
        var (e, f, g, h) = (state[4], state[5], state[6], state[7])
        for i in 0..<64 {
            let sum: UInt32 = turned(e, 6) ^ turned(e, 11) ^ turned(e, 25)
            let choice: UInt32 = (e & f) ^ (~e & g)
            var first: UInt32 = h &+ sum &+ choice
            first = first &+ roundConstants[i] &+ words[i]
            let majority: UInt32 = (a & b) ^ (a & c) ^ (b & c)
            let turns: UInt32 = turned(a, 2) ^ turned(a, 13) ^ turned(a, 22)
            let second: UInt32 = turns &+ majority
            (a, b, c, d, e, f, g, h) = (first &+ second, a, b, c, d &+ first, e, f, g)
        }
        let added: [UInt32] = [a, b, c, d, e, f, g, h]
        for i in 0..<8 { state[i] = state[i] &+ added[i] }
    }
}

/// The first 32 bits of the fractional parts of the cube roots of the first 64 primes.
private let roundConstants: [UInt32] = {
    let primes: [Int] = (2...311).filter { n in (2..<n).allSatisfy { n % $0 != 0 } }
    return primes.map { (prime: Int) -> UInt32 in
        // The largest c with c³ <= p · 2⁹⁶, by bits; products fit into 128 bits as two halves.
        var root: UInt64 = 0
        for bit in stride(from: UInt64(35), through: 0, by: -1) {
            let next: UInt64 = root | (1 << bit)
            let square = next.multipliedFullWidth(by: next)
            let low = square.low.multipliedFullWidth(by: next)
            let high: UInt64 = square.high * next + low.high
            let limit = UInt64(prime) << 32
            if high < limit || (high == limit && low.low == 0) { root = next }
        }
        return UInt32(truncatingIfNeeded: root)
    }
}()
#endif
