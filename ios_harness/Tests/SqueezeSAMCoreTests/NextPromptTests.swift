import Foundation
import SqueezeSAMCore
import XCTest

/// A network that compares its inputs with what they should be, and keeps none that changes.
private final class ComparingBackend: Backend, @unchecked Sendable {
    let metadata: ArtifactMetadata
    var expected: [Tensor] = []
    private(set) var differing: [String] = []
    private(set) var images: [Tensor] = []
    /// Where the bytes of the prompt maps were.
    private(set) var addresses: Set<UnsafeRawPointer?> = []

    init(inputs: String, rules: PromptRules) throws {
        let rules = String(decoding: try JSONEncoder().encode(rules), as: UTF8.self)
        let json = described("segmentation", "\(inputs), \(pointInputs)", maskOutputs, rules)
        metadata = try ArtifactMetadata(json: Data(json.utf8), source: "a test")
    }

    func run(_ inputs: [Tensor]) throws -> [String: [Float]] {
        for (input, wanted) in zip(inputs, expected) where input.bytes != wanted.bytes {
            differing.append(input.spec.name)
        }
        for input in inputs {
            switch input.spec.name {
            case "image": images.append(input)
            case "pixels", "prompt_maps":
                addresses.insert(input.bytes.withUnsafeBytes(\.baseAddress))
            default: break
            }
        }
        return [
            "low_res_masks": Array(repeating: 1, count: 2 * 64 * 64), "iou_predictions": [1, 0],
        ]
    }
}

private struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}

private let (width, height) = (90, 70)

/// What a person may do next.
private func edited(_ prompt: Prompt, _ random: inout SplitMix) throws -> Prompt {
    var next = prompt
    switch Int.random(in: 0..<10, using: &random) {
    case 0..<5:
        next.clicks.append(
            Click(
                x: Float.random(in: -5...95, using: &random),
                y: Float.random(in: -5...75, using: &random),
                label: Bool.random(using: &random) ? .foreground : .background))
    case 5, 6:
        guard let index = next.clicks.indices.randomElement(using: &random) else { break }
        next = try next.removingClick(at: index)
    case 7:
        next.box = Box(
            x0: Float.random(in: 0...89, using: &random),
            y0: Float.random(in: 0...69, using: &random),
            x1: Float.random(in: 0...89, using: &random),
            y1: Float.random(in: 0...69, using: &random))
    case 8:
        next.box?.x1 += Float.random(in: -4...4, using: &random)
        next.box?.y0 += Float.random(in: -4...4, using: &random)
    default:
        next.box = nil
    }
    return next
}

final class NextPromptTests: XCTestCase {
    private let layouts = [
        #"{"name": "pixels", "dtype": "int8", "shape": [1, 64, 64, 5], "layout": "NHWC"}"#,
        #"{"name": "pixels", "dtype": "uint8", "shape": [1, 64, 64, 5], "layout": "NHWC"}"#,
        """
        {"name": "image", "dtype": "uint8", "shape": [1, 64, 64, 3], "layout": "image"},
        {"name": "prompt_maps", "dtype": "float32", "shape": [1, 2, 64, 64], "layout": "NCHW"}
        """,
    ]

    /// One photo, one prompt after another, in the same memory: each as if it were the only one.
    func testEveryPromptIsDrawnAsTheFirstOneWouldBe() async throws {
        let seen = try photo(width, height, x: 0.4, y: 0.6)
        var random = SplitMix(state: 1)
        for inputs in layouts {
            for order in [PromptRules.MapOrder.clicksThenBox, .boxThenClicks] {
                for carve in [true, false] {
                    let rules = PromptRules(
                        mapOrder: order, clickRadius: 5, markedValue: 255, carveBackground: carve,
                        maxClicks: 6)
                    let backend = try ComparingBackend(inputs: inputs, rules: rules)
                    try await ask(backend, about: seen, rules, &random)
                    XCTAssertEqual(backend.differing, [], "\(inputs) \(rules)")
                    XCTAssertEqual(backend.addresses.count, 1, "\(inputs): maps were copied")
                    XCTAssertTrue(backend.images.allSatisfy { $0 === backend.images[0] })
                }
            }
        }
    }

    private func ask(
        _ backend: ComparingBackend, about seen: RGBImage, _ rules: PromptRules,
        _ random: inout SplitMix
    ) async throws {
        let metadata = backend.metadata
        let square = seen.stretched(to: 64, by: metadata.resize)
        let image = try await Segmenter(backend).image(seen)
        var prompt = Prompt()
        for _ in 0..<150 {
            prompt = try edited(prompt, &random)
            let encoded = try prompt.encoded(width: width, height: height, size: 64, rules: rules)
            backend.expected = try inputTensors(
                square: square, prompt: encoded, inputs: metadata.inputs)
            _ = try await image.masks(for: prompt)
        }
    }

    func testTensorsThatABackendKeepsStayAsTheyWere() async throws {
        let backend = try EchoBackend()
        let image = try await Segmenter(backend).image(photo(width, height, x: 0.5, y: 0.5))
        _ = try await image.mask(for: Prompt(clicks: [Click(x: 20, y: 20)]))
        let first = backend.seen[0]
        let bytes = first.bytes.map { $0 }
        _ = try await image.mask(for: Prompt(clicks: [Click(x: 60, y: 50)]))
        XCTAssertEqual(first.bytes, bytes)
        XCTAssertNotEqual(backend.seen[0].bytes, bytes)
    }
}
