#if canImport(CoreML)
import CoreGraphics
import CoreImage
import CoreVideo
import Foundation
import ImageIO
import SqueezeSAMCore
import UniformTypeIdentifiers

extension RGBImage {
    /// A photo from a file of any kind that the system reads, HEIC included; upright, in sRGB.
    ///
    /// - Throws: `SegmentationError` of kind usage: it is no picture.
    public init(contentsOf file: URL) throws {
        let source = CGImageSourceCreateWithURL(file as CFURL, nil)
        try self.init(source, name: file.lastPathComponent)
    }

    /// A photo from the bytes of such a file.
    ///
    /// - Throws: As the other initializer.
    public init(encoded: Data) throws {
        try self.init(CGImageSourceCreateWithData(encoded as CFData, nil), name: "the photo")
    }

    private init(_ source: CGImageSource?, name: String) throws {
        guard let source, let image = CGImageSourceCreateImageAtIndex(source, 0, nil) else {
            throw SegmentationError.usage("\(name) is no picture that this system reads")
        }
        let properties = CGImageSourceCopyPropertiesAtIndex(source, 0, nil) as? [CFString: Any]
        let number = properties?[kCGImagePropertyOrientation] as? UInt32 ?? 1
        try self.init(image, orientation: CGImagePropertyOrientation(rawValue: number) ?? .up)
    }

    /// A photo in any color space, brought to sRGB, and turned upright.
    ///
    /// - Parameter orientation: How the image must be turned to be seen upright; of a `UIImage`
    ///   its `imageOrientation`, under the same names.
    /// - Throws: `SegmentationError` of kind device: there is no memory for it.
    public init(_ image: CGImage, orientation: CGImagePropertyOrientation = .up) throws {
        let (width, height) = (image.width, image.height)
        var rgba = [UInt8](repeating: 0, count: width * height * 4)
        let drawn = rgba.withUnsafeMutableBytes { bytes -> Bool in
            let context = CGContext(
                data: bytes.baseAddress, width: width, height: height, bitsPerComponent: 8,
                bytesPerRow: width * 4, space: sRGB,
                bitmapInfo: CGImageAlphaInfo.noneSkipLast.rawValue)
            context?.draw(image, in: CGRect(x: 0, y: 0, width: width, height: height))
            return context != nil
        }
        guard drawn else { throw SegmentationError.device("there is no memory for the photo") }
        let stored = try RGBImage(width: width, height: height, rgba: rgba)
        self = stored.upright(from: Orientation(rawValue: Int(orientation.rawValue)) ?? .up)
    }

    /// A frame of a camera or a video.
    ///
    /// - Throws: As the initializer of `CGImage`.
    public init(_ buffer: CVPixelBuffer, orientation: CGImagePropertyOrientation = .up) throws {
        try self.init(CIImage(cvPixelBuffer: buffer), orientation: orientation)
    }

    /// What Core Image made.
    ///
    /// - Throws: As the initializer of `CGImage`.
    public init(
        _ image: CIImage, orientation: CGImagePropertyOrientation = .up,
        context: CIContext = CIContext()
    ) throws {
        let made = context.createCGImage(
            image, from: image.extent, format: .RGBA8, colorSpace: sRGB)
        guard let made else { throw SegmentationError.device("the photo cannot be drawn") }
        try self.init(made, orientation: orientation)
    }
}

extension Mask {
    /// The mask as a gray picture, white inside.
    public var cgImage: CGImage? {
        picture(
            pixels, width: width, height: height, channels: 1,
            space: CGColorSpaceCreateDeviceGray(),
            alpha: .none)
    }

    /// The photo with everything outside the mask transparent.
    ///
    /// - Throws: `SegmentationError`: the photo has another size, or there is no memory.
    public func cutoutImage(of photo: RGBImage) throws -> CGImage {
        let image = picture(
            try cutout(of: photo), width: width, height: height, channels: 4, space: sRGB,
            alpha: .last)
        guard let image else { throw SegmentationError.device("there is no memory for a picture") }
        return image
    }

    /// That as a PNG file.
    ///
    /// - Throws: As `cutoutImage(of:)`.
    public func cutoutPNG(of photo: RGBImage) throws -> Data {
        let data = NSMutableData()
        let target = CGImageDestinationCreateWithData(
            data as CFMutableData, UTType.png.identifier as CFString, 1, nil)
        guard let target else { throw SegmentationError.device("there is no room for a PNG") }
        CGImageDestinationAddImage(target, try cutoutImage(of: photo), nil)
        guard CGImageDestinationFinalize(target) else {
            throw SegmentationError.device("the PNG cannot be written")
        }
        return Data(referencing: data)
    }
}

private var sRGB: CGColorSpace {
    CGColorSpace(name: CGColorSpace.sRGB) ?? CGColorSpaceCreateDeviceRGB()
}

private func picture(
    _ bytes: [UInt8], width: Int, height: Int, channels: Int, space: CGColorSpace,
    alpha: CGImageAlphaInfo
) -> CGImage? {
    guard let provider = CGDataProvider(data: Data(bytes) as CFData) else { return nil }
    return CGImage(
        width: width, height: height, bitsPerComponent: 8, bitsPerPixel: 8 * channels,
        bytesPerRow: width * channels, space: space,
        bitmapInfo: CGBitmapInfo(rawValue: alpha.rawValue), provider: provider, decode: nil,
        shouldInterpolate: true, intent: .defaultIntent)
}
#endif
