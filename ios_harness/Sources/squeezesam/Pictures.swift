import Foundation
import SqueezeSAMCore

/// A PNG of 8 bits a channel, or a PPM (P6): what there is without a system's image library.
///
/// - Throws: `SegmentationError` of kind usage: it is neither, or damaged.
func readPicture(_ content: Data, named name: String) throws -> RGBImage {
    let bytes = [UInt8](content)
    if bytes.starts(with: [0x89, 0x50, 0x4e, 0x47]) {
        return try PNGReader(bytes, name: name).image()
    }
    if bytes.starts(with: Array("P6".utf8)) { return try portablePixmap(bytes, name) }
    throw SegmentationError.usage(
        "\(name) is neither PNG nor PPM, which is what this system reads: convert it first")
}

private func damaged(_ name: String) -> SegmentationError {
    .usage("\(name) is damaged, or a kind of picture that is not read here")
}

private func portablePixmap(_ bytes: [UInt8], _ name: String) throws -> RGBImage {
    var (position, numbers): (Int, [Int]) = (2, [])
    while numbers.count < 3, position < bytes.count {
        if bytes[position] == UInt8(ascii: "#") {
            while position < bytes.count, bytes[position] != 10 { position += 1 }
        }
        let digits = bytes[position...].prefix { (48...57).contains($0) }
        if digits.isEmpty {
            position += 1
            continue
        }
        numbers.append(Int(String(decoding: digits, as: UTF8.self)) ?? 0)
        position += digits.count
    }
    let start = position + 1
    guard numbers.count == 3, numbers[2] == 255, numbers[0] < 1 << 16, numbers[1] < 1 << 16,
        bytes.count >= start + numbers[0] * numbers[1] * 3
    else { throw damaged(name) }
    let pixels = Array(bytes[start..<start + numbers[0] * numbers[1] * 3])
    return try RGBImage(width: numbers[0], height: numbers[1], pixels: pixels)
}

/// A PNG whose data is stored, not compressed.
func png(rgba: [UInt8], width: Int, height: Int) -> Data {
    var rows = Data(capacity: rgba.count + height)
    for y in 0..<height {
        rows.append(0)
        rows.append(contentsOf: rgba[y * width * 4..<(y + 1) * width * 4])
    }
    var stream = Data([0x78, 0x01])
    for start in stride(from: 0, to: rows.count, by: 65_535) {
        let block = rows[start..<min(start + 65_535, rows.count)]
        let (low, high) = (UInt8(block.count & 255), UInt8(block.count >> 8))
        stream.append(contentsOf: [
            start + block.count == rows.count ? 1 : 0, low, high, ~low, ~high,
        ])
        stream.append(block)
    }
    stream.append(bigEndian(adler32(rows)))
    var header = bigEndian(UInt32(width))
    header.append(bigEndian(UInt32(height)))
    header.append(contentsOf: [8, 6, 0, 0, 0])
    var file = Data([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a])
    file.append(chunk("IHDR", header))
    file.append(chunk("IDAT", stream))
    file.append(chunk("IEND", Data()))
    return file
}

private func chunk(_ type: String, _ content: Data) -> Data {
    var body = Data(type.utf8)
    body.append(content)
    var whole = bigEndian(UInt32(content.count))
    whole.append(body)
    whole.append(bigEndian(crc32(body)))
    return whole
}

private func bigEndian(_ value: UInt32) -> Data {
    withUnsafeBytes(of: value.bigEndian) { Data($0) }
}

private let crcTable: [UInt32] = (0..<256).map { number in
    var value = UInt32(number)
    for _ in 0..<8 { value = value & 1 == 1 ? (value >> 1) ^ 0xedb8_8320 : value >> 1 }
    return value
}

private func crc32(_ data: Data) -> UInt32 {
    var value = ~UInt32(0)
    for byte in data { value = crcTable[Int((value ^ UInt32(byte)) & 255)] ^ (value >> 8) }
    return ~value
}

private func adler32(_ data: Data) -> UInt32 {
    var (a, b): (UInt32, UInt32) = (1, 0)
    for byte in data {
        a = (a + UInt32(byte)) % 65_521
        b = (b + a) % 65_521
    }
    return b << 16 | a
}

/// A whole number of four bytes, the highest first.
private func number(_ bytes: [UInt8], at position: Int) -> Int {
    bytes[position..<position + 4].reduce(into: 0) { $0 = $0 << 8 | Int($1) }
}

private struct PNGReader {
    private let name: String
    private var width = 0
    private var height = 0
    private var kind = 0
    private var palette: [UInt8] = []
    private var packed: [UInt8] = []

    init(_ bytes: [UInt8], name: String) throws {
        self.name = name
        var position = 8
        while position + 12 <= bytes.count {
            let length = number(bytes, at: position)
            let type = String(decoding: bytes[position + 4..<position + 8], as: UTF8.self)
            guard position + 12 + length <= bytes.count else { throw damaged(name) }
            let content = Array(bytes[position + 8..<position + 8 + length])
            switch type {
            case "IHDR": try readHeader(content)
            case "PLTE": palette = content
            case "IDAT": packed += content
            default: break
            }
            position += 12 + length
        }
    }

    private var channels: Int {
        switch kind {
        case 0, 3: return 1
        case 2: return 3
        case 4: return 2
        case 6: return 4
        default: return 0
        }
    }

    private mutating func readHeader(_ content: [UInt8]) throws {
        guard content.count == 13 else { throw damaged(name) }
        width = number(content, at: 0)
        height = number(content, at: 4)
        kind = Int(content[9])
        guard content[8] == 8, content[12] == 0, channels > 0, (1..<1 << 16).contains(width),
            (1..<1 << 16).contains(height)
        else { throw damaged(name) }
    }

    func image() throws -> RGBImage {
        let stride = width * channels
        guard packed.count > 2, channels > 0,
            let rows = inflate(packed[2...], limit: (stride + 1) * height),
            rows.count == (stride + 1) * height
        else { throw damaged(name) }
        let plain = try unfiltered(rows, stride: stride)
        return try RGBImage(width: width, height: height, pixels: try colors(plain))
    }

    private func unfiltered(_ rows: [UInt8], stride: Int) throws -> [UInt8] {
        var plain = [UInt8](repeating: 0, count: stride * height)
        for y in 0..<height {
            let filter = rows[y * (stride + 1)]
            for x in 0..<stride {
                let left = x >= channels ? Int(plain[y * stride + x - channels]) : 0
                let above = y > 0 ? Int(plain[(y - 1) * stride + x]) : 0
                let corner =
                    x >= channels && y > 0 ? Int(plain[(y - 1) * stride + x - channels]) : 0
                let guess: Int
                switch filter {
                case 0: guess = 0
                case 1: guess = left
                case 2: guess = above
                case 3: guess = (left + above) / 2
                case 4: guess = paeth(left, above, corner)
                default: throw damaged(name)
                }
                plain[y * stride + x] = rows[y * (stride + 1) + 1 + x] &+ UInt8(guess)
            }
        }
        return plain
    }

    private func paeth(_ left: Int, _ above: Int, _ corner: Int) -> Int {
        let sum = left + above - corner
        let distances = (abs(sum - left), abs(sum - above), abs(sum - corner))
        if distances.0 <= distances.1 && distances.0 <= distances.2 { return left }
        return distances.1 <= distances.2 ? above : corner
    }

    private func colors(_ plain: [UInt8]) throws -> [UInt8] {
        var pixels: [UInt8] = []
        pixels.reserveCapacity(width * height * 3)
        for start in Swift.stride(from: 0, to: plain.count, by: channels) {
            switch kind {
            case 0, 4: pixels += [plain[start], plain[start], plain[start]]
            case 3:
                let entry = Int(plain[start]) * 3
                guard entry + 3 <= palette.count else { throw damaged(name) }
                pixels += palette[entry..<entry + 3]
            default: pixels += plain[start..<start + 3]
            }
        }
        return pixels
    }
}

/// RFC 1951; nil where the data is damaged or longer than `limit`.
private func inflate(_ bytes: ArraySlice<UInt8>, limit: Int) -> [UInt8]? {
    var reader = BitReader(bytes)
    var output: [UInt8] = []
    output.reserveCapacity(limit)
    while true {
        guard let last = reader.bits(1), let kind = reader.bits(2) else { return nil }
        switch kind {
        case 0:
            guard let block = reader.storedBlock() else { return nil }
            output += block
        case 1:
            let lengths: [Int] = (0..<288).map { $0 < 144 ? 8 : $0 < 256 ? 9 : $0 < 280 ? 7 : 8 }
            let literals = Huffman(lengths)
            let distances = Huffman([Int](repeating: 5, count: 30))
            guard reader.codes(literals, distances, &output, limit) else { return nil }
        case 2:
            guard let (literals, distances) = reader.tables(),
                reader.codes(literals, distances, &output, limit)
            else { return nil }
        default: return nil
        }
        guard output.count <= limit else { return nil }
        if last == 1 { return output }
    }
}

/// A canonical Huffman code, by the number of codes of each length.
private struct Huffman {
    var counts = [Int](repeating: 0, count: 16)
    var symbols: [Int] = []

    init(_ lengths: [Int]) {
        for length in lengths where length > 0 { counts[length] += 1 }
        symbols = lengths.indices.filter { lengths[$0] > 0 }
            .sorted { (lengths[$0], $0) < (lengths[$1], $1) }
    }
}

private struct BitReader {
    private let bytes: ArraySlice<UInt8>
    private var position: Int
    private var bit = 0

    init(_ bytes: ArraySlice<UInt8>) {
        self.bytes = bytes
        position = bytes.startIndex
    }

    mutating func bits(_ count: Int) -> Int? {
        var value = 0
        for index in 0..<count {
            guard position < bytes.endIndex else { return nil }
            let next = Int(bytes[position] >> UInt8(bit)) & 1
            value |= next << index
            bit += 1
            if bit == 8 { (bit, position) = (0, position + 1) }
        }
        return value
    }

    mutating func storedBlock() -> ArraySlice<UInt8>? {
        if bit > 0 { (bit, position) = (0, position + 1) }
        guard let length = bits(16), bits(16) != nil, position + length <= bytes.endIndex
        else { return nil }
        defer { position += length }
        return bytes[position..<position + length]
    }

    mutating func symbol(_ code: Huffman) -> Int? {
        var (value, first, index) = (0, 0, 0)
        for length in 1..<16 {
            guard let next = bits(1) else { return nil }
            value |= next
            let count = code.counts[length]
            if value - first < count { return code.symbols[index + value - first] }
            index += count
            first = (first + count) << 1
            value <<= 1
        }
        return nil
    }

    mutating func tables() -> (Huffman, Huffman)? {
        guard let literals = bits(5), let distances = bits(5), let lengths = bits(4) else {
            return nil
        }
        let order = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15]
        var own = [Int](repeating: 0, count: 19)
        for index in 0..<lengths + 4 {
            guard let length = bits(3) else { return nil }
            own[order[index]] = length
        }
        let code = Huffman(own)
        let total = literals + 257 + distances + 1
        var all: [Int] = []
        while all.count < total {
            guard let found = symbol(code) else { return nil }
            switch found {
            case 16:
                guard let previous = all.last, let more = bits(2) else { return nil }
                all += Array(repeating: previous, count: more + 3)
            case 17:
                guard let more = bits(3) else { return nil }
                all += Array(repeating: 0, count: more + 3)
            case 18:
                guard let more = bits(7) else { return nil }
                all += Array(repeating: 0, count: more + 11)
            default: all.append(found)
            }
        }
        guard all.count == total else { return nil }
        return (Huffman(Array(all[..<(literals + 257)])), Huffman(Array(all[(literals + 257)...])))
    }

    mutating func codes(
        _ literals: Huffman, _ distances: Huffman, _ output: inout [UInt8], _ limit: Int
    ) -> Bool {
        while let found = symbol(literals), output.count <= limit {
            if found == 256 { return true }
            if found < 256 {
                output.append(UInt8(found))
                continue
            }
            guard found <= 285, let length = extended(found - 257, lengthBases, 4, last: 28),
                let code = symbol(distances), code < 30,
                let distance = extended(code, distanceBases, 2, last: -1),
                distance <= output.count
            else { return false }
            for _ in 0..<length { output.append(output[output.count - distance]) }
        }
        return false
    }

    /// A length or a distance: its base, and extra bits that grow with every few codes.
    private mutating func extended(
        _ code: Int, _ bases: [Int], _ group: Int, last: Int
    ) -> Int? {
        let extra = code == last || code < group * 2 ? 0 : code / group - 1
        return bits(extra).map { bases[code] + $0 }
    }
}

private let lengthBases: [Int] = bases(first: 3, group: 4, count: 28) + CollectionOfOne(258)
private let distanceBases: [Int] = bases(first: 1, group: 2, count: 30)

private func bases(first: Int, group: Int, count: Int) -> [Int] {
    var base = first
    return (0..<count).map { code in
        defer { base += 1 << (code < group * 2 ? 0 : code / group - 1) }
        return base
    }
}
