import Foundation

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

/// A photo as the inputs of an artifact, which prompts are drawn into one after another.
///
/// The bytes that hold the prompt maps are kept, and written in place once the tensors of the
/// prompt before are let go. Whoever keeps those keeps their bytes: they are copied first then.
final class PhotoInputs: @unchecked Sendable {
    private let inputs: [TensorSpec]
    /// Nil where pixels and prompt maps share one input.
    private let image: Tensor?
    private let lock = NSLock()
    private var maps: PromptMaps?

    /// - Parameter square: The photo, stretched to the artifact's image size.
    init(_ square: RGBImage, inputs: [TensorSpec]) throws {
        self.inputs = inputs
        guard let spec = inputs.first(where: { $0.name == "image" || $0.name == "pixels" }) else {
            throw SegmentationError.artifact("the artifact takes no image")
        }
        // A saliency network's pixels are the image alone.
        if spec.name == "pixels", spec.shape.last != 3 {
            image = nil
            maps = try PromptMaps(spec, size: square.width, bytes: arranged(square, spec))
        } else {
            image = try Tensor(spec, bytes: arranged(square, spec))
            maps = try inputs.first { $0.name == "prompt_maps" }.map {
                try PromptMaps($0, size: square.width, bytes: emptyMaps($0))
            }
        }
    }

    /// All inputs, in their order.
    ///
    /// - Parameters:
    ///   - points: The prompt's; nil for a saliency network.
    ///   - write: Makes the maps, where the artifact takes any, those of the prompt.
    func tensors(
        _ points: PointList?, write: (inout PromptMaps) throws -> Void
    ) throws -> [Tensor] {
        try lock.withLock {
            if maps != nil { try write(&maps!) }
            return try inputs.map { try tensor($0, points) }
        }
    }

    private func tensor(_ spec: TensorSpec, _ points: PointList?) throws -> Tensor {
        switch (spec.name, points, image, maps) {
        case ("image", _, let image?, _), ("pixels", _, let image?, _): return image
        case ("pixels", _, _, let maps?), ("prompt_maps", .some, _, let maps?):
            return try Tensor(spec, bytes: maps.bytes)
        case ("point_coords", let points?, _, _): return try Tensor(spec, floats: points.coords)
        case ("point_labels", let points?, _, _): return try Tensor(spec, floats: points.labels)
        default:
            throw SegmentationError.artifact(
                "the artifact has an input '\(spec.name)' that this library does not know")
        }
    }
}

private func arranged(_ square: RGBImage, _ spec: TensorSpec) throws -> [UInt8] {
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

/// The inputs of an artifact for one photo and prompt; a `Segmenter` makes them itself.
///
/// - Parameter square: The photo, stretched to the artifact's image size.
/// - Throws: `SegmentationError` of kind artifact: an input is declared otherwise than this
///   library fills it.
public func inputTensors(
    square: RGBImage, prompt: EncodedPrompt?, inputs: [TensorSpec]
) throws -> [Tensor] {
    let points = prompt.map { PointList(coords: $0.pointCoords, labels: $0.pointLabels) }
    return try PhotoInputs(square, inputs: inputs).tensors(points) { maps in
        if let prompt { try maps.fill(prompt.maps) }
    }
}
