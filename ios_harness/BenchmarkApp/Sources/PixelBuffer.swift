import CoreVideo
import Foundation

/// A Core ML image from height x width x 3 RGB bytes.
func pixelBuffer(rgb: Data, width: Int, height: Int) throws -> CVPixelBuffer {
    // Memory that the Neural Engine can read in place.
    let attributes = [kCVPixelBufferIOSurfacePropertiesKey as String: [String: Any]()]
    var created: CVPixelBuffer?
    CVPixelBufferCreate(
        nil, width, height, kCVPixelFormatType_32BGRA, attributes as CFDictionary, &created)
    guard let buffer = created else { throw Failure("there is no memory for an image") }
    CVPixelBufferLockBaseAddress(buffer, [])
    defer { CVPixelBufferUnlockBaseAddress(buffer, []) }
    guard let base = CVPixelBufferGetBaseAddress(buffer) else { throw Failure("an image is empty") }
    let pixels = base.assumingMemoryBound(to: UInt8.self)
    let stride = CVPixelBufferGetBytesPerRow(buffer)
    rgb.withUnsafeBytes { (bytes: UnsafeRawBufferPointer) in
        for y in 0..<height {
            for x in 0..<width {
                let from = (y * width + x) * 3
                let to = y * stride + x * 4
                pixels[to] = bytes[from + 2]
                pixels[to + 1] = bytes[from + 1]
                pixels[to + 2] = bytes[from]
                pixels[to + 3] = 255
            }
        }
    }
    return buffer
}
