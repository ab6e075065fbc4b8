#if canImport(CoreML)
import CoreVideo
import Foundation
import SqueezeSAMCore

/// Images as Core ML takes them: buffers from a pool, and the last photo's kept while prompts
/// about it go on.
final class ImageInputs: @unchecked Sendable {
    private let lock = NSLock()
    private var pool: CVPixelBufferPool?
    private var size = (width: 0, height: 0)
    private var last: (tensor: Tensor, buffer: CVPixelBuffer)?

    /// - Parameter tensor: 1 x height x width x 3 RGB.
    /// - Throws: `SegmentationError` of kind device: there is no memory.
    func buffer(of tensor: Tensor) throws -> CVPixelBuffer {
        try lock.withLock {
            if let last, last.tensor === tensor { return last.buffer }
            let shape = tensor.spec.shape
            guard shape.count == 4, shape[3] == 3 else {
                throw SegmentationError.artifact("'\(tensor.spec.name)' is no RGB image")
            }
            let buffer = try newBuffer(width: shape[2], height: shape[1])
            try fill(buffer, rgb: tensor.bytes, width: shape[2], height: shape[1])
            last = (tensor, buffer)
            return buffer
        }
    }

    private func newBuffer(width: Int, height: Int) throws -> CVPixelBuffer {
        if pool == nil || size != (width, height) {
            pool = makePool(width: width, height: height)
            size = (width, height)
        }
        var buffer: CVPixelBuffer?
        if let pool { CVPixelBufferPoolCreatePixelBuffer(nil, pool, &buffer) }
        guard let buffer else { throw SegmentationError.device("there is no memory for an image") }
        return buffer
    }

    private func makePool(width: Int, height: Int) -> CVPixelBufferPool? {
        let attributes: [String: Any] = [
            kCVPixelBufferWidthKey as String: width,
            kCVPixelBufferHeightKey as String: height,
            kCVPixelBufferPixelFormatTypeKey as String: kCVPixelFormatType_32BGRA,
            // Memory that the Neural Engine can read in place.
            kCVPixelBufferIOSurfacePropertiesKey as String: [String: Any](),
        ]
        var made: CVPixelBufferPool?
        CVPixelBufferPoolCreate(nil, nil, attributes as CFDictionary, &made)
        return made
    }

    private func fill(
        _ buffer: CVPixelBuffer, rgb: [UInt8], width: Int, height: Int
    ) throws {
        CVPixelBufferLockBaseAddress(buffer, [])
        defer { CVPixelBufferUnlockBaseAddress(buffer, []) }
        guard let base = CVPixelBufferGetBaseAddress(buffer) else {
            throw SegmentationError.device("an image has no memory")
        }
        let pixels = base.assumingMemoryBound(to: UInt8.self)
        let stride = CVPixelBufferGetBytesPerRow(buffer)
        rgb.withUnsafeBufferPointer { source in
            for y in 0..<height {
                var (from, to) = (y * width * 3, y * stride)
                for _ in 0..<width {
                    pixels[to] = source[from + 2]
                    pixels[to + 1] = source[from + 1]
                    pixels[to + 2] = source[from]
                    pixels[to + 3] = 255
                    (from, to) = (from + 3, to + 4)
                }
            }
        }
    }
}
#endif
