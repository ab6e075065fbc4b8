import Foundation

/// How a network is used.
public enum NetworkTask: String, Codable, Sendable {
    /// An image and a prompt to masks.
    case segmentation
    /// An image to the map that picks the clicks.
    case saliency
}

/// Type of the numbers of an input or output.
public enum ElementType: String, Codable, Sendable {
    case float32
    case uint8
    /// Pixel values minus 128.
    case int8

    /// Bytes of one number.
    public var size: Int { self == .float32 ? 4 : 1 }
}

/// One input or output of a network.
public struct TensorSpec: Codable, Sendable, Hashable {
    /// SAM's word for it: "image", "point_coords", "low_res_masks".
    public let name: String
    public let dtype: ElementType
    /// Sizes; the batch is always 1.
    public let shape: [Int]
    /// Meaning of the axes; "image" is a Core ML image.
    public let layout: String

    public init(name: String, dtype: ElementType, shape: [Int], layout: String) {
        self.name = name
        self.dtype = dtype
        self.shape = shape
        self.layout = layout
    }

    /// How many numbers it holds.
    public var count: Int { shape.reduce(1, *) }
}

/// How clicks and boxes are drawn into the two prompt maps.
public struct PromptRules: Codable, Sendable, Hashable {
    /// What the two maps hold, in their order.
    public enum MapOrder: String, Codable, Sendable {
        case clicksThenBox = "clicks-box"
        case boxThenClicks = "box-clicks"
    }

    public let mapOrder: MapOrder
    /// Radius of a click's disc, in pixels of the input square.
    public let clickRadius: Int
    /// What a marked pixel has; the others have 0.
    public let markedValue: UInt8
    /// Whether a background click cuts its disc out of the box map.
    public let carveBackground: Bool
    public let maxClicks: Int

    public init(
        mapOrder: MapOrder, clickRadius: Int, markedValue: UInt8, carveBackground: Bool,
        maxClicks: Int
    ) {
        self.mapOrder = mapOrder
        self.clickRadius = clickRadius
        self.markedValue = markedValue
        self.carveBackground = carveBackground
        self.maxClicks = maxClicks
    }

    enum CodingKeys: String, CodingKey {
        case mapOrder = "map_order"
        case clickRadius = "click_radius"
        case markedValue = "marked_value"
        case carveBackground = "carve_background"
        case maxClicks = "max_clicks"
    }
}

/// Everything needed to feed one artifact and to read what it returns; it lies inside every
/// artifact as JSON and in the manifest beside it.
public struct ArtifactMetadata: Codable, Sendable, Hashable {
    /// How a photo is brought to the square.
    public enum Resize: String, Codable, Sendable {
        /// Bilinear over two neighbors in each direction, however small the photo becomes.
        case bilinear = "stretch-bilinear"
        /// Bilinear over a support that grows with the reduction.
        case antialiased = "stretch-bilinear-antialias"
    }

    /// The key of Core ML's user-defined metadata and of ONNX's, and the constant method of an
    /// ExecuTorch program.
    public static let key = "sqsam"

    public let formatVersion: Int
    public let task: NetworkTask
    public let preset: String
    public let runtime: String
    public let precision: String
    /// Digest of the checkpoint that it was exported from.
    public let weightsSHA256: String
    /// "iOS17": the lowest iOS that loads a Core ML model.
    public let deploymentTarget: String?
    /// Side of the square input, in pixels.
    public let imageSize: Int
    /// Side of the masks or of the saliency map.
    public let maskSize: Int
    /// Order of the channels: "RGB".
    public let colorOrder: String
    public let resize: Resize
    /// Nil for a saliency network, which takes the image alone.
    public let prompts: PromptRules?
    /// A logit above this belongs to the mask.
    public let maskThreshold: Float
    public let inputs: [TensorSpec]
    public let outputs: [TensorSpec]

    enum CodingKeys: String, CodingKey {
        case formatVersion = "format_version"
        case task, preset, runtime, precision
        case weightsSHA256 = "weights_sha256"
        case deploymentTarget = "deployment_target"
        case imageSize = "image_size"
        case maskSize = "mask_size"
        case colorOrder = "color_order"
        case resize, prompts
        case maskThreshold = "mask_threshold"
        case inputs, outputs
    }

    /// The metadata in JSON that an artifact carries; `source` names the artifact in errors.
    ///
    /// - Throws: `SegmentationError` of kind artifact: it is damaged, or of a newer format.
    public init(json: Data, source: String) throws {
        do {
            self = try JSONDecoder().decode(ArtifactMetadata.self, from: json)
        } catch {
            throw SegmentationError.artifact("the metadata of \(source) cannot be read: \(error)")
        }
        try check(source: source)
    }

    func check(source: String) throws {
        guard formatVersion == 1, colorOrder == "RGB" else {
            throw SegmentationError.artifact(
                "\(source) needs a newer version of this library: format \(formatVersion), "
                    + "colors \(colorOrder)")
        }
        let sizes = [imageSize, maskSize] + (inputs + outputs).flatMap(\.shape)
        guard sizes.allSatisfy({ 0 < $0 && $0 < 1 << 14 }) else {
            throw SegmentationError.artifact("the metadata of \(source) gives an impossible size")
        }
        guard (task == .segmentation) == (prompts != nil) else {
            throw SegmentationError.artifact("the metadata of \(source) contradicts itself")
        }
    }
}
