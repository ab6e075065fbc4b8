import CryptoKit
import Foundation

/// SHA-256 of an artifact as a manifest states it.
///
/// Of a file that of its bytes; of a package that of its listing: a line `<sha256>  <path>` for
/// every file, sorted by the path's bytes.
func artifactDigest(_ url: URL) throws -> String {
    guard isDirectory(url.path) else { return try fileDigest(url) }
    let paths = try FileManager.default.subpathsOfDirectory(atPath: url.path)
        .filter { !isDirectory(url.appendingPathComponent($0).path) }
        .sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    let lines = try paths.map { path -> String in
        let digest = try fileDigest(url.appendingPathComponent(path))
        return "\(digest)  \(path)\n"
    }
    return hexadecimal(SHA256.hash(data: Data(lines.joined().utf8)))
}

private func fileDigest(_ url: URL) throws -> String {
    let file = try FileHandle(forReadingFrom: url)
    defer { try? file.close() }
    var hash = SHA256()
    while let block = try file.read(upToCount: 1 << 20), !block.isEmpty {
        hash.update(data: block)
    }
    return hexadecimal(hash.finalize())
}

private func hexadecimal(_ digest: SHA256.Digest) -> String {
    digest.map { String(format: "%02x", $0) }.joined()
}

private func isDirectory(_ path: String) -> Bool {
    var directory: ObjCBool = false
    return FileManager.default.fileExists(atPath: path, isDirectory: &directory)
        && directory.boolValue
}
