/// One input of a network: its bytes in C order, little-endian, as the metadata declares them.
///
/// An object, so that a backend can tell that it was given the same image again.
public final class Tensor: Sendable {
    public let spec: TensorSpec
    public let bytes: [UInt8]

    /// - Throws: `SegmentationError` of kind artifact: there are not as many bytes as declared.
    public init(_ spec: TensorSpec, bytes: [UInt8]) throws {
        guard bytes.count == spec.count * spec.dtype.size else {
            throw SegmentationError.artifact(
                "input '\(spec.name)' takes \(spec.count * spec.dtype.size) bytes, "
                    + "got \(bytes.count)")
        }
        self.spec = spec
        self.bytes = bytes
    }

    convenience init(_ spec: TensorSpec, floats: [Float]) throws {
        guard spec.dtype == .float32 else {
            throw SegmentationError.artifact("input '\(spec.name)' is no float32")
        }
        try self.init(spec, bytes: floats.withUnsafeBytes { Array($0) })
    }
}

/// A photo stretched to the square and arranged as an artifact takes it: what is computed once
/// for a photo, whatever is asked of it.
struct BoundImage: Sendable {
    /// The image's own input; where pixels and prompt maps share one tensor, its bytes with the
    /// maps still empty.
    private let pixels: Tensor
    private let inputs: [TensorSpec]

    /// - Parameter square: The photo, stretched to the artifact's image size.
    init(_ square: RGBImage, inputs: [TensorSpec]) throws {
        self.inputs = inputs
        guard let spec = inputs.first(where: { $0.name == "image" || $0.name == "pixels" }) else {
            throw SegmentationError.artifact("the artifact takes no image")
        }
        pixels = try Tensor(spec, bytes: BoundImage.arranged(square, spec))
    }

    /// All inputs, in their order; `prompt` is nil for a saliency network.
    func tensors(_ prompt: EncodedPrompt?) throws -> [Tensor] {
        try inputs.map { spec in
            switch (spec.name, prompt) {
            case ("image", _): return pixels
            case ("pixels", nil): return pixels
            case ("pixels", let prompt?): return try interleaved(prompt, spec)
            case ("prompt_maps", let prompt?):
                return try Tensor(spec, floats: prompt.maps.map { Float($0) })
            case ("point_coords", let prompt?):
                return try Tensor(spec, floats: prompt.pointCoords)
            case ("point_labels", let prompt?):
                return try Tensor(spec, floats: prompt.pointLabels)
            default:
                throw SegmentationError.artifact(
                    "the artifact has an input '\(spec.name)' that this library does not know")
            }
        }
    }

    /// Red, green, blue and the two maps side by side; int8 is the value minus 128, which is the
    /// same bits with the highest one turned.
    private func interleaved(_ prompt: EncodedPrompt, _ spec: TensorSpec) throws -> Tensor {
        var bytes = pixels.bytes
        let flip: UInt8 = spec.dtype == .int8 ? 0x80 : 0
        let count = prompt.maps.count / 2
        guard bytes.count == count * 5 else {
            throw SegmentationError.artifact("input 'pixels' has no room for two prompt maps")
        }
        bytes.withUnsafeMutableBufferPointer { target in
            prompt.maps.withUnsafeBufferPointer { maps in
                for i in 0..<count {
                    target[i * 5 + 3] = maps[i] ^ flip
                    target[i * 5 + 4] = maps[count + i] ^ flip
                }
            }
        }
        return try Tensor(spec, bytes: bytes)
    }

    private static func arranged(_ square: RGBImage, _ spec: TensorSpec) throws -> [UInt8] {
        let count = square.width * square.height
        switch (spec.layout, spec.dtype) {
        case ("image", .uint8):
            return square.pixels
        case ("NCHW", .float32):
            var planes = [Float](repeating: 0, count: count * 3)
            for i in 0..<count {
                for channel in 0..<3 {
                    planes[channel * count + i] = Float(square.pixels[i * 3 + channel])
                }
            }
            return planes.withUnsafeBytes { Array($0) }
        case ("NHWC", .uint8), ("NHWC", .int8):
            let channels = spec.shape.last ?? 0
            let flip: UInt8 = spec.dtype == .int8 ? 0x80 : 0
            var bytes = [UInt8](repeating: flip, count: count * channels)
            for i in 0..<count {
                for channel in 0..<3 {
                    bytes[i * channels + channel] = square.pixels[i * 3 + channel] ^ flip
                }
            }
            return bytes
        default:
            throw SegmentationError.artifact(
                "input '\(spec.name)' is \(spec.layout) \(spec.dtype.rawValue), which this "
                    + "library cannot fill")
        }
    }
}

/// The inputs of an artifact for one photo and prompt; a `Segmenter` makes them itself.
///
/// - Parameter square: The photo, stretched to the artifact's image size.
/// - Throws: `SegmentationError` of kind artifact: an input is declared otherwise than this
///   library fills it.
public func inputTensors(
    square: RGBImage, prompt: EncodedPrompt?, inputs: [TensorSpec]
) throws -> [Tensor] {
    try BoundImage(square, inputs: inputs).tensors(prompt)
}
