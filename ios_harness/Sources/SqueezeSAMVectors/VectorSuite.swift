import Foundation
import SqueezeSAMCore

/// The cases that every implementation of the prompts, pictures and masks is held to, as
/// `sqsam-vectors` writes them.
public struct VectorSuite {
    /// What became of one case.
    public struct Outcome: Sendable {
        public let topic: String
        public let name: String
        /// Nil where it holds.
        public let failure: String?
    }

    private let folder: URL

    public init(folder: URL) {
        self.folder = folder
    }

    /// Checks every case of every topic that needs no network.
    ///
    /// - Throws: A file is missing, damaged, or of another version.
    public func run() throws -> [Outcome] {
        try VectorSuite.checks.flatMap { topic, check in
            try cases(topic).map { item in
                Outcome(topic: topic, name: item.name, failure: failure(item, check))
            }
        }
    }

    /// Checks the end-to-end cases of a network's runtime, precision and weights.
    ///
    /// - Returns: Empty where there are none for it.
    /// - Throws: As `run()`.
    public func run(_ backend: any Backend) async throws -> [Outcome] {
        var outcomes: [Outcome] = []
        for item in try cases("end_to_end") {
            guard try item.text("runtime") == backend.metadata.runtime,
                try item.text("precision") == backend.metadata.precision,
                try item.text("weights_sha256") == backend.metadata.weightsSHA256
            else { continue }
            var failure: String?
            do {
                try await checkEndToEnd(item, backend)
            } catch {
                failure = "\(error)"
            }
            outcomes.append(Outcome(topic: "end_to_end", name: item.name, failure: failure))
        }
        return outcomes
    }

    private func cases(_ topic: String) throws -> [VectorCase] {
        let path = folder.appendingPathComponent("\(topic).json")
        guard
            let document = try JSONSerialization.jsonObject(with: Data(contentsOf: path))
                as? [String: Any],
            document["version"] as? Int == 1
        else { throw SegmentationError.artifact("\(path.path) is of another version") }
        return try VectorCase(document.merging(["name": topic]) { $1 }).cases("cases")
    }

    private func failure(_ item: VectorCase, _ check: (VectorCase) throws -> Void) -> String? {
        do {
            try check(item)
        } catch is SegmentationError where item.error != nil {
            return nil
        } catch {
            return "\(error)"
        }
        return item.error.map { "it was taken, and must be refused (\($0))" }
    }

    private static var checks: [(String, (VectorCase) throws -> Void)] {
        [
            ("metadata", checkMetadata),
            ("resize", checkResize),
            ("orientation", checkOrientation),
            ("prompts", checkPrompt),
            ("packing", checkPacking),
            ("saliency", checkSaliency),
            ("masks", checkMasks),
            ("auto", checkAutomaticStart),
        ]
    }
}

private func expect<Value: Equatable>(_ got: Value, _ wanted: Value, _ what: String) throws {
    guard got == wanted else {
        throw Mismatch(description: "\(what): \(got) instead of \(wanted)")
    }
}

private func expectNear(_ got: Double, _ wanted: Double, _ tolerance: Double, _ what: String) throws
{
    guard abs(got - wanted) <= tolerance else {
        throw Mismatch(description: "\(what): \(got) instead of \(wanted)")
    }
}

private func checkMetadata(_ item: VectorCase) throws {
    let metadata = try ArtifactMetadata(
        json: Data(try item.text("json").utf8), source: item.name)
    let expected = try item.expected
    try expect(metadata.preset, expected.text("preset"), "preset")
    try expect(metadata.task.rawValue, expected.text("task"), "task")
    try expect(metadata.imageSize, expected.integer("image_size"), "image_size")
    try expect(metadata.maskSize, expected.integer("mask_size"), "mask_size")
    try expect(metadata.resize.rawValue, expected.text("resize"), "resize")
    try expectNear(
        Double(metadata.maskThreshold), expected.number("mask_threshold"), 0, "mask_threshold")
    try expect(metadata.prompts != nil, expected.has("prompts"), "whether it takes prompts")
    if let prompts = metadata.prompts {
        try expect(prompts, promptRules(expected.inner("prompts")), "prompts")
    }
    try expect(metadata.inputs, expected.cases("inputs").map(tensorSpec), "inputs")
    try expect(metadata.outputs, expected.cases("outputs").map(tensorSpec), "outputs")
}

private func tensorSpec(_ item: VectorCase) throws -> TensorSpec {
    guard let dtype = ElementType(rawValue: try item.text("dtype")) else {
        throw Mismatch(description: "an unknown dtype")
    }
    return TensorSpec(
        name: try item.text("name"), dtype: dtype,
        shape: try item.numbers("shape").map { Int($0) }, layout: try item.text("layout"))
}

private func checkResize(_ item: VectorCase) throws {
    guard let rule = ArtifactMetadata.Resize(rawValue: try item.text("resize")) else {
        throw Mismatch(description: "an unknown rule")
    }
    let square = try item.image("image").stretched(to: item.integer("size"), by: rule)
    // The plain one is in floating point, where a sum on the edge falls to either side.
    try item.array("expected").compare(square.pixels, "pixels", within: rule == .bilinear ? 1 : 0)
}

private func checkOrientation(_ item: VectorCase) throws {
    guard let orientation = Orientation(rawValue: try item.integer("orientation")) else {
        throw Mismatch(description: "an unknown orientation")
    }
    let upright = try item.image("image").upright(from: orientation)
    let expected = try item.array("expected")
    try expect([upright.height, upright.width, 3], expected.shape, "shape")
    try expected.compare(upright.pixels, "pixels")
}

private func checkPrompt(_ item: VectorCase) throws {
    let (prompt, width, height) = try promptAndSize(item)
    guard item.error == nil else {
        _ = try prompt.validated(width: width, height: height)
        return
    }
    let rules = try item.inner("rules")
    let encoded = try prompt.encoded(
        width: width, height: height, size: rules.integer("image_size"), rules: promptRules(rules))
    let expected = try item.expected
    try expected.array("prompt_maps").compare(encoded.maps, "prompt_maps")
    let half = encoded.maps.count / 2
    let marked = [encoded.maps[..<half], encoded.maps[half...]].map { map in
        Double(map.reduce(0) { $0 + ($1 == 255 ? 1 : 0) })
    }
    try expect(marked, expected.numbers("marked"), "marked")
    try expect(
        encoded.pointCoords, expected.pairs("point_coords").flatMap { $0.map { Float($0) } },
        "point_coords")
    try expect(
        encoded.pointLabels, expected.numbers("point_labels").map { Float($0) }, "point_labels")
}

private func promptAndSize(_ item: VectorCase) throws -> (Prompt, width: Int, height: Int) {
    let size = try item.numbers("image_hw").map { Int($0) }
    let box = item.has("box") ? try item.numbers("box").map { Float($0) } : nil
    let prompt = try Prompt(
        pointCoords: item.pairs("point_coords").map { $0.map { Float($0) } },
        pointLabels: item.numbers("point_labels").map { Int($0) }, box: box)
    return (prompt, size[1], size[0])
}

private func promptRules(_ item: VectorCase) throws -> PromptRules {
    guard let order = PromptRules.MapOrder(rawValue: try item.text("map_order")) else {
        throw Mismatch(description: "an unknown map_order")
    }
    return PromptRules(
        mapOrder: order, clickRadius: try item.integer("click_radius"),
        markedValue: UInt8(try item.integer("marked_value")),
        carveBackground: try item.flag("carve_background"),
        maxClicks: try item.integer("max_clicks"))
}

private func checkPacking(_ item: VectorCase) throws {
    let square = try item.image("image")
    let maps = try item.array("prompt_maps").bytes()
    let prompt = EncodedPrompt(maps: maps, pointCoords: [], pointLabels: [])
    let specs = try packedInputs(item.text("layout"), size: square.width)
    let expected = try item.expected
    for tensor in try inputTensors(square: square, prompt: prompt, inputs: specs) {
        try expected.array(tensor.spec.name).compare(tensor.bytes, tensor.spec.name)
    }
}

/// The inputs of an artifact with this layout, without its points.
private func packedInputs(_ layout: String, size: Int) throws -> [TensorSpec] {
    func planes(_ name: String, _ channels: Int) -> TensorSpec {
        TensorSpec(
            name: name, dtype: .float32, shape: [1, channels, size, size], layout: "NCHW")
    }
    func pixels(_ dtype: ElementType) -> TensorSpec {
        TensorSpec(name: "pixels", dtype: dtype, shape: [1, size, size, 5], layout: "NHWC")
    }
    switch layout {
    case "nchw-float32": return [planes("image", 3), planes("prompt_maps", 2)]
    case "nhwc-uint8": return [pixels(.uint8)]
    case "nhwc-int8": return [pixels(.int8)]
    case "image":
        let image = TensorSpec(
            name: "image", dtype: .uint8, shape: [1, size, size, 3], layout: "image")
        return [image, planes("prompt_maps", 2)]
    default: throw Mismatch(description: "an unknown layout \(layout)")
    }
}

private func checkSaliency(_ item: VectorCase) throws {
    if item.has("logits") { return try checkSteps(item) }
    let clicks = try saliencyMap(item).clicks()
    let size = try item.numbers("image_hw").map { Int($0) }
    let expected = try item.expected
    try expected.array("blob").compare(clicks.blob, "blob")
    try expect(
        clicks.blob.reduce(0) { $0 + Int($1) }, expected.integer("area"), "area")
    try expectNear(clicks.threshold, expected.number("threshold"), 1e-6, "threshold")
    try expectNear(Double(clicks.maximum), expected.number("maximum"), 1e-6, "maximum")
    try expect(clicks.maximumCount, expected.integer("maximum_count"), "maximum_count")
    try expectPoints(
        clicks.points.map { [$0.x, $0.y] }, expected.pairs("point_coords"), "point_coords")
    try expectPoints(
        clicks.clicks(width: size[1], height: size[0]).map { [Double($0.x), Double($0.y)] },
        expected.pairs("on_image"), "on_image")
}

private func saliencyMap(_ item: VectorCase) throws -> SaliencyMap {
    let array = try item.array("map")
    return try SaliencyMap(
        width: array.shape[1], height: array.shape[0], values: array.floats())
}

private func checkSteps(_ item: VectorCase) throws {
    let array = try item.array("logits")
    let map = try SaliencyMap(
        width: array.shape[1], height: array.shape[0], logits: array.floats())
    let steps = map.values.map { UInt8(($0 * 255).rounded()) }
    try item.expected.array("steps").compare(steps, "steps")
}

private func expectPoints(_ got: [[Double]], _ wanted: [[Double]], _ what: String) throws {
    try expect(got.count, wanted.count, what)
    for (point, place) in zip(got, wanted) {
        try expect(point.count, place.count, what)
        for (value, wanted) in zip(point, place) { try expectNear(value, wanted, 1e-3, what) }
    }
}

private func lowResMasks(_ item: VectorCase) throws -> Masks {
    let array = try item.array("low_res_masks")
    let size = try item.numbers("image_hw").map { Int($0) }
    return Masks(
        logits: try array.floats(),
        predictedIoUs: try item.numbers("iou_predictions").map { Float($0) },
        size: array.shape[1], width: size[1], height: size[0],
        threshold: Float(try item.number("threshold")))
}

private func checkMasks(_ item: VectorCase) throws {
    let masks = try lowResMasks(item)
    let expected = try item.expected
    try expect(masks.order.map { Double($0) }, expected.numbers("order"), "order")
    var given = [[UInt8]](repeating: [], count: masks.count)
    var areas = [Double](repeating: 0, count: masks.count)
    for index in 0..<masks.count {
        let mask = masks[index]
        given[masks.order[index]] = mask.pixels.map { $0 / 255 }
        areas[masks.order[index]] = Double(mask.area)
    }
    try expect(areas, expected.numbers("areas"), "areas")
    try expected.array("masks").compare(Array(given.joined()), "masks")
}

private func checkAutomaticStart(_ item: VectorCase) throws {
    let clicks = try saliencyMap(item).clicks()
    let masks = try lowResMasks(item)
    let expected = try item.expected
    let prompt = clicks.prompt(width: masks.width, height: masks.height)
    try expectPoints(
        prompt.clicks.map { [Double($0.x), Double($0.y)] }, expected.pairs("point_coords"),
        "point_coords")
    let corners = prompt.box.map { [$0.x0, $0.y0, $0.x1, $0.y1].map { Double($0) } } ?? []
    try expectPoints([corners], [expected.numbers("box")], "box")
    try expected.array("blob_on_grid").compare(clicks.blobOnGrid(masks.size), "blob_on_grid")
    try expect(masks.order.map { Double($0) }, expected.numbers("order"), "order")
    try expect(masks.order[masks.mostLike(clicks)], expected.integer("chosen"), "chosen")
}

private func checkEndToEnd(_ item: VectorCase, _ backend: any Backend) async throws {
    let photo = try item.image("image")
    let (prompt, _, _) = try promptAndSize(
        try VectorCase([
            "name": item.name, "image_hw": [photo.height, photo.width],
            "point_coords": item.pairs("point_coords"),
            "point_labels": item.numbers("point_labels"),
            "box": item.has("box") ? item.numbers("box") as Any : NSNull(),
        ]))
    let image = try await Segmenter(backend).image(photo)
    let masks = try await image.masks(for: prompt)
    let expected = try item.expected
    let tolerance = try expected.number("tolerance")
    for (rank, index) in masks.order.enumerated() {
        try expectNear(
            Double(masks.predictedIoUs[rank]), expected.numbers("iou_predictions")[index],
            tolerance, "predicted IoU \(index)")
    }
    try expect(masks.order[0], expected.integer("best"), "best")
    try compareLogits(masks, expected.array("logits").floats(), tolerance)
    try compareMask(masks[0], expected.array("mask").bytes(), expected.number("min_mask_iou"))
}

private func compareMask(_ mask: Mask, _ wanted: [UInt8], _ lowest: Double) throws {
    try expect(mask.pixels.count, wanted.count, "pixels of the mask")
    var (both, either) = (0, 0)
    for (got, place) in zip(mask.pixels, wanted) {
        if got != 0 && place != 0 { both += 1 }
        if got != 0 || place != 0 { either += 1 }
    }
    let overlap = Double(both) / Double(max(either, 1))
    guard overlap >= lowest else {
        throw Mismatch(description: "the mask's IoU is \(overlap), at least \(lowest) is wanted")
    }
}

private func compareLogits(_ masks: Masks, _ wanted: [Float], _ tolerance: Double) throws {
    let low = Array(masks.lowResLogits(0))
    let rows = stride(from: 0, to: masks.size, by: 4)
    let got = rows.flatMap { row in rows.map { low[row * masks.size + $0] } }
    try expect(got.count, wanted.count, "logits")
    for (value, place) in zip(got, wanted) {
        try expectNear(Double(value), Double(place), tolerance, "logits")
    }
}
