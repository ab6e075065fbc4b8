/// A photo as bytes: rows from the top, each pixel red, green, blue, in sRGB.
public struct RGBImage: Sendable, Hashable {
    public let width: Int
    public let height: Int
    /// `height` x `width` x 3.
    public let pixels: [UInt8]

    /// - Throws: `SegmentationError` of kind usage: the bytes are not those of such an image.
    public init(width: Int, height: Int, pixels: [UInt8]) throws {
        guard width > 0, height > 0, pixels.count == width * height * 3 else {
            throw SegmentationError.usage(
                "an image of \(width)x\(height) pixels has \(width * height * 3) bytes, "
                    + "got \(pixels.count)")
        }
        self.width = width
        self.height = height
        self.pixels = pixels
    }

    /// An image of four bytes a pixel, the fourth of which is left.
    ///
    /// - Throws: As the other initializer.
    public init(width: Int, height: Int, rgba: [UInt8]) throws {
        let count = rgba.count / 4
        let pixels = filled(count * 3) { target in
            rgba.withUnsafeBufferPointer { source in
                for i in 0..<count {
                    target[i * 3] = source[i * 4]
                    target[i * 3 + 1] = source[i * 4 + 1]
                    target[i * 3 + 2] = source[i * 4 + 2]
                }
            }
        }
        try self.init(width: width, height: height, pixels: pixels)
    }

    /// The image as it is seen, where its file says that it lies otherwise.
    public func upright(from orientation: Orientation) -> RGBImage {
        guard orientation != .up else { return self }
        let turned = orientation.swapsSides
        let (outWidth, outHeight) = turned ? (height, width) : (width, height)
        // The source pixel of the output's (0, 0), and the steps to it for one to the right or down.
        let (start, right, down) = orientation.walk(width: width, height: height)
        let target = [UInt8](unsafeUninitializedCapacity: pixels.count) { target, count in
            pixels.withUnsafeBufferPointer { source in
                var to = 0
                for y in 0..<outHeight {
                    var from = (start + y * down) * 3
                    for _ in 0..<outWidth {
                        target[to] = source[from]
                        target[to + 1] = source[from + 1]
                        target[to + 2] = source[from + 2]
                        to += 3
                        from += right * 3
                    }
                }
            }
            count = pixels.count
        }
        return RGBImage(checkedWidth: outWidth, height: outHeight, pixels: target)
    }

    init(checkedWidth width: Int, height: Int, pixels: [UInt8]) {
        self.width = width
        self.height = height
        self.pixels = pixels
    }
}

/// How a stored image must be turned to be seen upright: EXIF's tag 274, and
/// `CGImagePropertyOrientation`'s raw values.
public enum Orientation: Int, Sendable, CaseIterable {
    case up = 1
    case upMirrored
    case down
    case downMirrored
    case leftMirrored
    case right
    case rightMirrored
    case left

    /// Whether the upright image is as wide as the stored one is high.
    public var swapsSides: Bool { rawValue >= 5 }

    fileprivate func walk(width: Int, height: Int) -> (start: Int, right: Int, down: Int) {
        let (lastColumn, lastRow) = (width - 1, (height - 1) * width)
        switch self {
        case .up: return (0, 1, width)
        case .upMirrored: return (lastColumn, -1, width)
        case .down: return (lastRow + lastColumn, -1, -width)
        case .downMirrored: return (lastRow, 1, -width)
        case .leftMirrored: return (0, width, 1)
        case .right: return (lastRow, -width, 1)
        case .rightMirrored: return (lastRow + lastColumn, -width, -1)
        case .left: return (lastColumn, width, -1)
        }
    }
}
