import Foundation
import SqueezeSAMCore
import XCTest

/// A network whose one mask is the click map, so that a mask shows where the photo and the clicks
/// went; it counts its runs.
final class EchoBackend: Backend, @unchecked Sendable {
    let metadata: ArtifactMetadata
    private let lock = NSLock()
    private let delay: TimeInterval
    private(set) var runs = 0
    private(set) var seen: [Tensor] = []

    init(saliency: Bool = false, delay: TimeInterval = 0) throws {
        self.delay = delay
        let json = saliency ? saliencyMetadata : segmentationMetadata
        metadata = try ArtifactMetadata(json: Data(json.utf8), source: "a test")
    }

    func run(_ inputs: [Tensor]) throws -> [String: [Float]] {
        lock.withLock {
            runs += 1
            seen = inputs
        }
        if delay > 0 { Thread.sleep(forTimeInterval: delay) }
        let bytes = inputs[0].bytes
        if metadata.task == .saliency {
            // As salient as red.
            return ["saliency_logits": (0..<64 * 64).map { Float(bytes[$0 * 3]) / 128 - 1 }]
        }
        let clicks = (0..<64 * 64).map { bytes[$0 * 5 + 3] == 127 ? Float(1) : -1 }
        let everywhere = [Float](repeating: 1, count: 64 * 64)
        return ["low_res_masks": everywhere + clicks, "iou_predictions": [0.25, 0.75]]
    }
}

func described(_ task: String, _ inputs: String, _ outputs: String, _ prompts: String) -> String {
    """
    {"format_version": 1, "package_version": "0", "task": "\(task)", "preset": "test",
     "runtime": "test", "precision": "int8", "weights_sha256": "", "deployment_target": null,
     "image_size": 64, "mask_size": 64, "color_order": "RGB",
     "resize": "stretch-bilinear-antialias", "prompts": \(prompts), "mask_threshold": 0.0,
     "inputs": [\(inputs)], "outputs": [\(outputs)]}
    """
}

let pointInputs = """
    {"name": "point_coords", "dtype": "float32", "shape": [1, 8, 2], "layout": "NxPx2"},
    {"name": "point_labels", "dtype": "float32", "shape": [1, 8], "layout": "NxP"}
    """

let maskOutputs = """
    {"name": "low_res_masks", "dtype": "float32", "shape": [1, 2, 64, 64], "layout": "NxMxHxW"},
    {"name": "iou_predictions", "dtype": "float32", "shape": [1, 2], "layout": "NxM"}
    """

private let segmentationMetadata = described(
    "segmentation",
    """
    {"name": "pixels", "dtype": "int8", "shape": [1, 64, 64, 5], "layout": "NHWC"}, \(pointInputs)
    """, maskOutputs,
    """
    {"map_order": "clicks-box", "click_radius": 3, "marked_value": 255, "carve_background": true,
     "max_clicks": 6}
    """)

private let saliencyMetadata = described(
    "saliency",
    #"{"name": "image", "dtype": "uint8", "shape": [1, 64, 64, 3], "layout": "NHWC"}"#,
    #"{"name": "saliency_logits", "dtype": "float32", "shape": [1, 1, 64, 64], "layout": "NxMxHxW"}"#,
    "null")

/// Black, with a red square of an eighth of the sides around a place given in shares.
func photo(_ width: Int, _ height: Int, x: Double, y: Double) throws -> RGBImage {
    var pixels = [UInt8](repeating: 0, count: width * height * 3)
    for row in 0..<height {
        for column in 0..<width {
            let inside =
                abs(Double(column) / Double(width) - x) < 0.0625
                && abs(Double(row) / Double(height) - y) < 0.0625
            if inside { pixels[(row * width + column) * 3] = 255 }
        }
    }
    return try RGBImage(width: width, height: height, pixels: pixels)
}

/// The center of a mask's pixels, in shares of its sides.
private func center(_ mask: Mask) -> (x: Double, y: Double) {
    let inside = mask.pixels.indices.filter { mask.pixels[$0] != 0 }
    let count = Double(max(inside.count, 1))
    let x = inside.reduce(0.0) { $0 + Double($1 % mask.width) + 0.5 } / count
    let y = inside.reduce(0.0) { $0 + Double($1 / mask.width) + 0.5 } / count
    return (x / Double(mask.width), y / Double(mask.height))
}

final class SegmenterTests: XCTestCase {
    func testMaskLiesUnderTheClickWhateverThePhotosShape() async throws {
        let segmenter = try Segmenter(EchoBackend())
        for (width, height) in [(200, 200), (120, 360), (360, 120), (300, 400)] {
            let image = try await segmenter.image(photo(width, height, x: 0.5, y: 0.5))
            let click = Click(x: Float(width) * 0.25, y: Float(height) * 0.75)
            let mask = try await image.mask(for: Prompt(clicks: [click]))
            XCTAssertEqual([mask.width, mask.height], [width, height])
            XCTAssertEqual(mask.predictedIoU, 0.75)
            let place = center(mask)
            XCTAssertEqual(place.x, 0.25, accuracy: 0.02)
            XCTAssertEqual(place.y, 0.75, accuracy: 0.02)
        }
    }

    /// The photo is stored turned in each of the eight ways and must be found where it is seen.
    func testStartFindsTheObjectInEveryOrientation() async throws {
        let segmenter = try Segmenter(EchoBackend(), saliency: EchoBackend(saliency: true))
        for (width, height) in [(96, 96), (90, 270), (270, 90)] {
            let seen = try photo(width, height, x: 0.25, y: 0.75)
            for orientation in Orientation.allCases {
                let stored = try storedTurned(seen, orientation)
                let image = try await segmenter.image(stored.upright(from: orientation))
                XCTAssertEqual([image.width, image.height], [width, height])
                let place = center(try await image.mask())
                XCTAssertEqual(place.x, 0.25, accuracy: 0.03, "\(orientation)")
                XCTAssertEqual(place.y, 0.75, accuracy: 0.03, "\(orientation)")
            }
        }
    }

    func testBestMaskComesFirstAndOthersCanBeChosen() async throws {
        let image = try await Segmenter(EchoBackend()).image(photo(80, 60, x: 0.5, y: 0.5))
        let masks = try await image.masks(for: Prompt(clicks: [Click(x: 40, y: 30)]))
        XCTAssertEqual(masks.order, [1, 0])
        XCTAssertEqual(masks.predictedIoUs, [0.75, 0.25])
        XCTAssertEqual(masks[1].area, 80 * 60)
        XCTAssertLessThan(masks[0].area, 80 * 60 / 4)
    }

    func testLaterPromptTakesThePlaceOfEarlierOnes() async throws {
        let backend = try EchoBackend(delay: 0.05)
        let image = try await Segmenter(backend).image(photo(80, 60, x: 0.5, y: 0.5))
        let prompts = (0..<8).map { Prompt(clicks: [Click(x: Float(10 * $0) + 5.5, y: 30)]) }
        var calls: [Task<Mask, any Error>] = []
        for prompt in prompts {
            calls.append(Task { try await image.mask(for: prompt) })
            try await Task.sleep(nanoseconds: 5_000_000)
        }
        var cancelled = 0
        for call in calls.dropLast() {
            if case .failure(let error) = await call.result, error is CancellationError {
                cancelled += 1
            }
        }
        XCTAssertGreaterThanOrEqual(cancelled, 5)
        let last = try await calls[7].value
        XCTAssertEqual(center(last).x, 76.0 / 80, accuracy: 0.03)
        XCTAssertLessThan(backend.runs, 5)
    }

    func testWhatBelongsToThePhotoIsComputedOnce() async throws {
        let saliency = try EchoBackend(saliency: true)
        let image = try await Segmenter(EchoBackend(), saliency: saliency)
            .image(photo(80, 60, x: 0.5, y: 0.5))
        let start = try await image.mask()
        let again = try await image.mask()
        XCTAssertEqual(start, again)
        XCTAssertEqual(saliency.runs, 1)
    }

    func testStartWithoutASaliencyNetworkSaysWhatIsMissing() async throws {
        let image = try await Segmenter(EchoBackend()).image(photo(80, 60, x: 0.5, y: 0.5))
        do {
            _ = try await image.mask()
            XCTFail("it found something")
        } catch let error as SegmentationError {
            XCTAssertEqual(error.kind, .usage)
            XCTAssertTrue(error.description.contains("saliency"))
        }
        XCTAssertThrowsError(try Segmenter(EchoBackend(saliency: true)))
    }

    func testCutoutHasThePhotosColorsAndTheMaskAsTransparency() async throws {
        let seen = try photo(16, 8, x: 0.5, y: 0.5)
        let mask = try Mask(
            width: 16, height: 8, pixels: (0..<128).map { $0 < 64 ? 255 : 0 }, predictedIoU: 1)
        let cutout = try mask.cutout(of: seen)
        XCTAssertEqual(cutout.count, 512)
        for pixel in 0..<128 {
            XCTAssertEqual(cutout[pixel * 4], seen.pixels[pixel * 3])
            XCTAssertEqual(cutout[pixel * 4 + 3], pixel < 64 ? 255 : 0)
        }
        XCTAssertThrowsError(try mask.cutout(of: photo(8, 8, x: 0.5, y: 0.5)))
    }

    /// EXIF's definition by rows and columns: "the 0th row is at the visual ..., the 0th column at
    /// the visual ...".
    private func storedTurned(_ seen: RGBImage, _ orientation: Orientation) throws -> RGBImage {
        let (w, h) = (seen.width, seen.height)
        let (columns, rows) = orientation.swapsSides ? (h, w) : (w, h)
        var pixels: [UInt8] = []
        for row in 0..<rows {
            for column in 0..<columns {
                let (x, y): (Int, Int)
                switch orientation.rawValue {
                case 1: (x, y) = (column, row)
                case 2: (x, y) = (w - 1 - column, row)
                case 3: (x, y) = (w - 1 - column, h - 1 - row)
                case 4: (x, y) = (column, h - 1 - row)
                case 5: (x, y) = (row, column)
                case 6: (x, y) = (w - 1 - row, column)
                case 7: (x, y) = (w - 1 - row, h - 1 - column)
                default: (x, y) = (row, h - 1 - column)
                }
                let at = (y * w + x) * 3
                pixels += seen.pixels[at..<at + 3]
            }
        }
        return try RGBImage(width: columns, height: rows, pixels: pixels)
    }
}
