import Foundation
import SqueezeSAMCore

/// A check that failed, or a vector that is not understood.
struct Mismatch: Error, CustomStringConvertible {
    let description: String
}

/// One case of a vector file.
struct VectorCase {
    let name: String
    private let fields: [String: Any]

    init(_ fields: [String: Any]) throws {
        self.fields = fields
        guard let name = fields["name"] as? String else {
            throw Mismatch(description: "a case has no name")
        }
        self.name = name
    }

    /// The word that says why the input must be refused; nil where it must not.
    var error: String? { fields["error"] as? String }

    var expected: VectorCase {
        get throws { try inner("expected") }
    }

    func inner(_ key: String) throws -> VectorCase {
        guard var inner = fields[key] as? [String: Any] else { throw missing(key) }
        inner["name"] = "\(name).\(key)"
        return try VectorCase(inner)
    }

    func has(_ key: String) -> Bool { fields[key] != nil && !(fields[key] is NSNull) }

    func text(_ key: String) throws -> String {
        guard let value = fields[key] as? String else { throw missing(key) }
        return value
    }

    func number(_ key: String) throws -> Double {
        guard let value = fields[key] as? NSNumber else { throw missing(key) }
        return value.doubleValue
    }

    func integer(_ key: String) throws -> Int { Int(try number(key)) }

    func flag(_ key: String) throws -> Bool { try number(key) != 0 }

    func numbers(_ key: String) throws -> [Double] {
        guard let values = fields[key] as? [Any] else { throw missing(key) }
        return try values.map { value in
            // Words for numbers that JSON does not have.
            if let word = value as? String, let number = Double(word) { return number }
            guard let number = value as? NSNumber else { throw missing(key) }
            return number.doubleValue
        }
    }

    func pairs(_ key: String) throws -> [[Double]] {
        guard let rows = fields[key] as? [Any] else { throw missing(key) }
        return try rows.map { row in
            try VectorCase(["name": "\(name).\(key)", "row": row]).numbers("row")
        }
    }

    func cases(_ key: String) throws -> [VectorCase] {
        guard let rows = fields[key] as? [[String: Any]] else { throw missing(key) }
        return try rows.map { row in
            try VectorCase(row.merging(["name": row["name"] ?? "\(name).\(key)"]) { $1 })
        }
    }

    func array(_ key: String) throws -> VectorArray { try VectorArray(try inner(key)) }

    /// An image as an array, or by the formula of `pattern`.
    func image(_ key: String) throws -> RGBImage {
        let field = try inner(key)
        guard field.has("pattern") else {
            let array = try VectorArray(field)
            return try RGBImage(
                width: array.shape[1], height: array.shape[0], pixels: array.bytes())
        }
        let pattern = try field.inner("pattern")
        let (width, height) = (try pattern.integer("width"), try pattern.integer("height"))
        var pixels: [UInt8] = []
        pixels.reserveCapacity(width * height * 3)
        for y in 0..<height {
            for x in 0..<width {
                let common = 7 * x + 13 * y + x * y % 251
                for channel in 0..<3 {
                    pixels.append(UInt8(truncatingIfNeeded: common + 29 * channel))
                }
            }
        }
        return try RGBImage(width: width, height: height, pixels: pixels)
    }

    private func missing(_ key: String) -> Mismatch {
        Mismatch(description: "\(name) has no '\(key)' that this version understands")
    }
}

/// An array of a vector file: its bytes, or only their hash.
struct VectorArray {
    let shape: [Int]
    let dtype: String
    private let content: Data?
    private let hash: String?

    init(_ field: VectorCase) throws {
        shape = try field.numbers("shape").map { Int($0) }
        dtype = try field.text("dtype")
        content = field.has("base64") ? Data(base64Encoded: try field.text("base64")) : nil
        hash = field.has("crc32") ? try field.text("crc32") : nil
        guard content != nil || hash != nil else {
            throw Mismatch(description: "\(field.name) is no array")
        }
    }

    func bytes() throws -> [UInt8] {
        guard let content else { throw Mismatch(description: "only the hash is stored") }
        return [UInt8](content)
    }

    func floats() throws -> [Float] {
        guard dtype == "float32" else { throw Mismatch(description: "\(dtype) is no float32") }
        let bytes = try bytes()
        return stride(from: 0, to: bytes.count, by: 4).map { start in
            var bits: UInt32 = 0
            for place in (0..<4).reversed() { bits = bits << 8 | UInt32(bytes[start + place]) }
            return Float(bitPattern: bits)
        }
    }

    /// Refuses bytes that are not this array's, or that differ by more than `step`, which a hash
    /// cannot tell.
    func compare(_ got: [UInt8], _ what: String, within step: Int = 0) throws {
        if let content {
            let differing = zip(content, got).filter { abs(Int($0) - Int($1)) > step }.count
            guard content.count == got.count, differing == 0 else {
                throw Mismatch(
                    description: "\(what): \(differing) of \(content.count) bytes differ "
                        + "(\(got.count) came)")
            }
        } else if let hash, step == 0, crc32(got) != hash {
            throw Mismatch(description: "\(what): the hash differs")
        }
    }
}

private let crcTable: [UInt32] = (0..<256).map { number in
    var value = UInt32(number)
    for _ in 0..<8 { value = value & 1 == 1 ? (value >> 1) ^ 0xedb8_8320 : value >> 1 }
    return value
}

/// zlib's CRC-32, in eight hexadecimal digits.
private func crc32(_ bytes: [UInt8]) -> String {
    var value = ~UInt32(0)
    for byte in bytes { value = crcTable[Int((value ^ UInt32(byte)) & 255)] ^ (value >> 8) }
    return String(format: "%08x", ~value)
}
