// A stand-in for the system's module, to type-check against where there is none.
@_exported import CoreVideo
import Foundation

public struct CIFormat: Sendable {
    public static let RGBA8 = CIFormat()
}

public final class CIImage {
    public init(cvPixelBuffer: CVPixelBuffer) {}
    public var extent: CGRect { .zero }
}

public final class CIContext {
    public init() {}
    public func createCGImage(
        _ image: CIImage, from fromRect: CGRect, format: CIFormat, colorSpace: CGColorSpace?
    ) -> CGImage? { nil }
}
