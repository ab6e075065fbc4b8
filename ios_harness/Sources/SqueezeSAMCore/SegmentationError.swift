/// Everything this library throws on purpose: a kind to decide by, and a sentence to show.
public struct SegmentationError: Error, Sendable, Equatable, CustomStringConvertible {
    public enum Kind: Sendable {
        /// A prompt, an image or an option that cannot be meant.
        case usage
        /// A model file, its metadata or its outputs are not what they should be.
        case artifact
        /// The device or the system cannot do it.
        case device
    }

    public let kind: Kind
    public let description: String

    public static func usage(_ description: String) -> SegmentationError {
        SegmentationError(kind: .usage, description: description)
    }

    public static func artifact(_ description: String) -> SegmentationError {
        SegmentationError(kind: .artifact, description: description)
    }

    public static func device(_ description: String) -> SegmentationError {
        SegmentationError(kind: .device, description: description)
    }
}
