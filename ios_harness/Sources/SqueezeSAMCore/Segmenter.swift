import Foundation

/// What runs one artifact: Core ML, ExecuTorch, ONNX Runtime, or a stand-in in tests.
public protocol Backend: Sendable {
    var metadata: ArtifactMetadata { get }

    /// One inference. A `Segmenter` calls it from one task at a time, and never on the main thread.
    ///
    /// - Parameter inputs: As the metadata declares them, in their order. Those that a prompt is
    ///   drawn into had better not be kept: the next prompt is drawn into the same memory, and
    ///   into a copy where somebody still holds it.
    /// - Returns: Every output by name, its numbers in C order.
    func run(_ inputs: [Tensor]) throws -> [String: [Float]]

    /// The inference alone, to be run again and again: what the inputs must become for the
    /// runtime is done before this returns.
    func prepare(_ inputs: [Tensor]) throws -> @Sendable () throws -> [String: [Float]]
}

extension Backend {
    public func prepare(_ inputs: [Tensor]) throws -> @Sendable () throws -> [String: [Float]] {
        { try self.run(inputs) }
    }
}

/// Cuts objects out of photos with one network, and finds what to cut out with another.
///
///     let segmenter = try Segmenter(backend, saliency: saliencyBackend)
///     let image = try await segmenter.image(photo)
///     let start = try await image.mask()
///     let better = try await image.mask(for: Prompt(clicks: [Click(x: 310, y: 120)]))
///
/// Its work is done one piece at a time, outside the main thread.
public actor Segmenter {
    public nonisolated let metadata: ArtifactMetadata
    private let backend: any Backend
    private let saliency: (any Backend)?

    /// - Parameters:
    ///   - backend: Of a segmentation network.
    ///   - saliency: Of a saliency network, for the start without a prompt.
    /// - Throws: `SegmentationError` of kind usage: a network is used for what it is not.
    public init(_ backend: any Backend, saliency: (any Backend)? = nil) throws {
        guard backend.metadata.task == .segmentation,
            saliency == nil || saliency?.metadata.task == .saliency
        else {
            throw SegmentationError.usage(
                "a segmenter takes a segmentation network, and a saliency network to start with")
        }
        self.backend = backend
        self.saliency = saliency
        metadata = backend.metadata
    }

    /// A photo to ask for masks of; what belongs to it alone is computed here.
    ///
    /// - Parameter photo: Upright, in sRGB.
    public func image(_ photo: RGBImage) throws -> SegmentationImage {
        try Task.checkCancellation()
        let square = photo.stretched(to: metadata.imageSize, by: metadata.resize)
        return SegmentationImage(
            photo: photo, inputs: try PhotoInputs(square, inputs: metadata.inputs), segmenter: self)
    }

    fileprivate func masks(
        of image: SegmentationImage, for prompt: Prompt, ticket: Int
    ) throws -> Masks {
        try image.refuseSuperseded(ticket)
        guard let rules = metadata.prompts else {
            throw SegmentationError.artifact("\(metadata.preset) takes no prompts")
        }
        let placed = try prompt.placed(
            width: image.width, height: image.height, size: metadata.imageSize, rules: rules)
        // The tensors are let go here, so that the next prompt finds the maps' bytes its own.
        let outputs = try checkedOutputs(
            backend, image.inputs.tensors(placed.points(rules)) { $0.draw(placed, rules) })
        try image.refuseSuperseded(ticket)
        return Masks(
            logits: outputs["low_res_masks"] ?? [],
            predictedIoUs: outputs["iou_predictions"] ?? [],
            size: metadata.maskSize, width: image.width, height: image.height,
            threshold: metadata.maskThreshold)
    }

    fileprivate func mask(
        of image: SegmentationImage, for prompt: Prompt, ticket: Int,
        choose: @Sendable (Masks) -> Int = { _ in 0 }
    ) throws -> Mask {
        let masks = try masks(of: image, for: prompt, ticket: ticket)
        return masks[choose(masks)]
    }

    fileprivate func saliencyMap(of image: SegmentationImage) throws -> SaliencyMap {
        try image.saliency.value {
            guard let saliency else {
                throw SegmentationError.usage(
                    "the start without a prompt needs a saliency network: give the segmenter one")
            }
            let metadata = saliency.metadata
            let square = image.photo.stretched(to: metadata.imageSize, by: metadata.resize)
            let outputs = try checkedOutputs(
                saliency, inputTensors(square: square, prompt: nil, inputs: metadata.inputs))
            return try SaliencyMap(
                width: metadata.maskSize, height: metadata.maskSize,
                logits: outputs["saliency_logits"] ?? [])
        }
    }
}

/// One photo and everything that is computed once for it.
///
/// A later question about a photo takes the place of an earlier one: the earlier call throws
/// `CancellationError` as soon as its turn has come or its inference has ended.
public final class SegmentationImage: Sendable {
    public let photo: RGBImage
    fileprivate let inputs: PhotoInputs
    fileprivate let saliency = Once<SaliencyMap>()
    private let segmenter: Segmenter
    private let tickets = Tickets()

    public var width: Int { photo.width }
    public var height: Int { photo.height }

    fileprivate init(photo: RGBImage, inputs: PhotoInputs, segmenter: Segmenter) {
        self.photo = photo
        self.inputs = inputs
        self.segmenter = segmenter
    }

    /// The mask with the highest predicted IoU for a prompt.
    ///
    /// - Throws: `SegmentationError`; `CancellationError` where a later call took its place.
    public func mask(for prompt: Prompt) async throws -> Mask {
        try await segmenter.mask(of: self, for: prompt, ticket: tickets.next())
    }

    /// All masks for a prompt, to choose from.
    ///
    /// - Throws: As `mask(for:)`.
    public func masks(for prompt: Prompt) async throws -> Masks {
        try await segmenter.masks(of: self, for: prompt, ticket: tickets.next())
    }

    /// The mask of what stands out, without a prompt: of the masks for the saliency clicks and the
    /// blob's box, the one most like the blob.
    ///
    /// - Throws: As `mask(for:)`; of kind usage where the segmenter has no saliency network.
    public func mask() async throws -> Mask {
        let ticket = tickets.next()
        let clicks = try await saliencyClicks()
        let prompt = clicks.prompt(width: width, height: height)
        return try await segmenter.mask(of: self, for: prompt, ticket: ticket) {
            $0.mostLike(clicks)
        }
    }

    /// The prompt to correct what `mask()` found with: its clicks, without the blob's box, which
    /// a person's click would contradict.
    ///
    /// - Throws: As `mask()`.
    public func automaticPrompt() async throws -> Prompt {
        Prompt(clicks: try await saliencyClicks().clicks(width: width, height: height))
    }

    /// The clicks in pixels of the saliency map, with the blob they lie on.
    ///
    /// - Throws: As `mask()`.
    public func saliencyClicks() async throws -> SaliencyClicks {
        try await segmenter.saliencyMap(of: self).clicks()
    }

    fileprivate func refuseSuperseded(_ ticket: Int) throws {
        try Task.checkCancellation()
        guard tickets.isLatest(ticket) else { throw CancellationError() }
    }
}

private func checkedOutputs(
    _ backend: any Backend, _ inputs: [Tensor]
) throws -> [String: [Float]] {
    let outputs = try backend.run(inputs)
    for spec in backend.metadata.outputs {
        guard let values = outputs[spec.name], values.count == spec.count else {
            throw SegmentationError.artifact(
                "the network returns \(outputs[spec.name]?.count ?? 0) numbers as "
                    + "'\(spec.name)', \(spec.count) are declared")
        }
        guard values.allSatisfy(\.isFinite) else {
            throw SegmentationError.artifact("the network returns numbers that are not finite")
        }
    }
    return outputs
}

/// Numbers of the calls about one photo, the latest of which counts.
private final class Tickets: @unchecked Sendable {
    private let lock = NSLock()
    private var latest = 0

    func next() -> Int {
        lock.withLock {
            latest += 1
            return latest
        }
    }

    func isLatest(_ ticket: Int) -> Bool { lock.withLock { latest == ticket } }
}

/// A value that is computed when it is first asked for.
private final class Once<Value: Sendable>: @unchecked Sendable {
    private let lock = NSLock()
    private var known: Value?

    func value(_ make: () throws -> Value) rethrows -> Value {
        try lock.withLock {
            if let known { return known }
            let made = try make()
            known = made
            return made
        }
    }
}
