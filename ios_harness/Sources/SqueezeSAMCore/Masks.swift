/// A mask at the size of the photo.
public struct Mask: Sendable, Hashable {
    public let width: Int
    public let height: Int
    /// `height` x `width`; 255 inside, 0 outside.
    public let pixels: [UInt8]
    /// What the network expects of its overlap with the object, about 0 to 1.
    public let predictedIoU: Float
    /// How many pixels are inside.
    public let area: Int

    public var isEmpty: Bool { area == 0 }

    /// - Throws: `SegmentationError` of kind usage: there are not as many bytes as pixels.
    public init(width: Int, height: Int, pixels: [UInt8], predictedIoU: Float) throws {
        guard width > 0, height > 0, pixels.count == width * height else {
            throw SegmentationError.usage("a mask of \(width)x\(height) has a byte for each pixel")
        }
        self.init(width, height, pixels, predictedIoU)
    }

    fileprivate init(_ width: Int, _ height: Int, _ pixels: [UInt8], _ predictedIoU: Float) {
        self.width = width
        self.height = height
        self.pixels = pixels
        self.predictedIoU = predictedIoU
        area = pixels.reduce(into: 0) { sum, pixel in sum += pixel == 0 ? 0 : 1 }
    }

    /// The photo with the mask as its transparency: red, green, blue, alpha.
    ///
    /// - Throws: `SegmentationError` of kind usage: the photo has another size.
    public func cutout(of image: RGBImage) throws -> [UInt8] {
        guard image.width == width, image.height == height else {
            throw SegmentationError.usage(
                "a mask of \(width)x\(height) does not fit a photo of "
                    + "\(image.width)x\(image.height)")
        }
        return filled(pixels.count * 4) { target in
            for i in 0..<pixels.count {
                for channel in 0..<3 { target[i * 4 + channel] = image.pixels[i * 3 + channel] }
                target[i * 4 + 3] = pixels[i]
            }
        }
    }
}

/// What the network returns for one prompt: several masks, the one with the highest predicted IoU
/// first.
public struct Masks: Sendable {
    /// Predicted IoU of each.
    public let predictedIoUs: [Float]
    /// Position of each in the network's output.
    public let order: [Int]
    /// Side of the low-resolution masks.
    public let size: Int
    /// The photo.
    public let width: Int
    public let height: Int
    private let logits: [Float]
    private let threshold: Float

    public var count: Int { order.count }

    /// - Parameters:
    ///   - logits: M x size x size, as the network returns them.
    ///   - predictedIoUs: M, likewise.
    public init(
        logits: [Float], predictedIoUs: [Float], size: Int, width: Int, height: Int,
        threshold: Float
    ) {
        // Sorting is stable: equal ones keep their order.
        order = predictedIoUs.indices.sorted { predictedIoUs[$0] > predictedIoUs[$1] }
        self.predictedIoUs = order.map { predictedIoUs[$0] }
        self.logits = logits
        self.size = size
        self.width = width
        self.height = height
        self.threshold = threshold
    }

    /// Low-resolution logits of one mask, size x size.
    public func lowResLogits(_ index: Int) -> ArraySlice<Float> {
        let start = order[index] * size * size
        return logits[start..<start + size * size]
    }

    /// The mask that covers the same as a saliency blob, by intersection over union on the grid of
    /// low-resolution masks; of equal ones the first.
    public func mostLike(_ clicks: SaliencyClicks) -> Int {
        let blob = clicks.blobOnGrid(size)
        let overlaps = (0..<count).map { index -> Double in
            var (both, either) = (0, 0)
            for (logit, pixel) in zip(lowResLogits(index), blob) {
                let inside = logit > threshold
                if inside && pixel != 0 { both += 1 }
                if inside || pixel != 0 { either += 1 }
            }
            return Double(both) / Double(max(either, 1))
        }
        let best = overlaps.max() ?? 0
        return overlaps.firstIndex(of: best) ?? 0
    }

    /// One mask at the size of the photo: bilinear, then cut at the threshold.
    public subscript(index: Int) -> Mask {
        let across = Neighbors.list(from: size, to: width)
        let down = Neighbors.list(from: size, to: height)
        let low = Array(lowResLogits(index))
        var widened = WidenedRows(low, size: size, across: across)
        let pixels = filled(width * height) { target in
            for (y, vertical) in down.enumerated() {
                widened.load(vertical.first, vertical.second)
                for x in 0..<width {
                    let value = vertical.mixed(widened.upper[x], widened.lower[x])
                    target[y * width + x] = value > threshold ? 255 : 0
                }
            }
        }
        return Mask(width, height, pixels, predictedIoUs[index])
    }
}

/// Two rows of low-resolution logits at the width of the photo; a row is widened once.
private struct WidenedRows {
    private(set) var upper: [Float] = []
    private(set) var lower: [Float] = []
    private var loaded = (-1, -1)
    private let logits: [Float]
    private let size: Int
    private let across: [Neighbors]

    init(_ logits: [Float], size: Int, across: [Neighbors]) {
        self.logits = logits
        self.size = size
        self.across = across
    }

    mutating func load(_ first: Int, _ second: Int) {
        guard loaded != (first, second) else { return }
        upper = loaded.1 == first ? lower : widened(first)
        lower = second == first ? upper : widened(second)
        loaded = (first, second)
    }

    private func widened(_ row: Int) -> [Float] {
        let start = row * size
        return across.map { $0.mixed(logits[start + $0.first], logits[start + $0.second]) }
    }
}
