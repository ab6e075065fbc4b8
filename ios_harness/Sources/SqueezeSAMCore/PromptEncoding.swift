/// A prompt as a network takes it.
public struct EncodedPrompt: Sendable, Hashable {
    /// 2 x size x size, 0 or the rules' marked value, in the rules' order.
    public let maps: [UInt8]
    /// The clicks, then the box's corners, then zeros: x and y of each, in pixels of the square.
    public let pointCoords: [Float]
    /// 1 foreground, 0 background, 2 and 3 the box's corners, -1 nothing.
    public let pointLabels: [Float]

    public init(maps: [UInt8], pointCoords: [Float], pointLabels: [Float]) {
        self.maps = maps
        self.pointCoords = pointCoords
        self.pointLabels = pointLabels
    }
}

extension PromptRules {
    /// Points of one prompt: the clicks and a box's two corners.
    public var maxPoints: Int { maxClicks + 2 }
}

extension Prompt {
    /// The prompt as the network takes it, after the steps that every prompt goes through:
    /// checked and moved inside the photo, and limited to the clicks that count.
    ///
    /// - Parameters:
    ///   - width: Of the photo, as `height`.
    ///   - size: Side of the input square.
    /// - Throws: As `validated(width:height:)`.
    public func encoded(
        width: Int, height: Int, size: Int, rules: PromptRules
    ) throws -> EncodedPrompt {
        let placed = try placed(width: width, height: height, size: size, rules: rules)
        let spec = TensorSpec(
            name: "prompt_maps", dtype: .uint8, shape: [1, 2, size, size], layout: "NCHW")
        var maps = try PromptMaps(spec, size: size, bytes: emptyMaps(spec))
        maps.draw(placed, rules)
        let points = placed.points(rules)
        return EncodedPrompt(
            maps: maps.bytes, pointCoords: points.coords, pointLabels: points.labels)
    }

    /// The clicks and the box that `encoded` draws; arguments and errors are the same.
    func placed(
        width: Int, height: Int, size: Int, rules: PromptRules
    ) throws -> PlacedPrompt {
        let counted = try validated(width: width, height: height).limited(to: rules.maxClicks)
        let across = Float(Double(size) / Double(width))
        let down = Float(Double(size) / Double(height))
        let clicks = counted.clicks.map {
            Click(x: $0.x * across, y: $0.y * down, label: $0.label)
        }
        let box = counted.box.map {
            Box(x0: $0.x0 * across, y0: $0.y0 * down, x1: $0.x1 * across, y1: $0.y1 * down)
        }
        return PlacedPrompt(clicks: clicks, box: box)
    }
}

/// A prompt in pixels of the input square.
struct PlacedPrompt: Sendable {
    let clicks: [Click]
    let box: Box?

    func points(_ rules: PromptRules) -> PointList {
        var coords: [Float] = clicks.flatMap { [$0.x, $0.y] }
        var labels: [Float] = clicks.map { Float($0.label.rawValue) }
        if let box {
            coords += [box.x0, box.y0, box.x1, box.y1]
            labels += [2, 3]
        }
        coords += Array(repeating: 0, count: rules.maxPoints * 2 - coords.count)
        labels += Array(repeating: -1, count: rules.maxPoints - labels.count)
        return PointList(coords: coords, labels: labels)
    }
}

/// A prompt's points, as those of an `EncodedPrompt`.
struct PointList {
    let coords: [Float]
    let labels: [Float]
}

/// The bytes of an input whose pixels are all unmarked.
func emptyMaps(_ spec: TensorSpec) -> [UInt8] {
    Array(repeating: spec.dtype == .int8 ? 0x80 : 0, count: spec.count * spec.dtype.size)
}

/// The two prompt maps in the bytes of the input that a network reads them from, its last two
/// channels.
///
/// Of a prompt only what differs from the one before is drawn, in place: another click costs some
/// hundred pixels, not two squares.
struct PromptMaps: Sendable {
    private(set) var bytes: [UInt8]
    private let layout: MapLayout
    private var area = Region.nothing
    private var discs: [Region] = []
    private var holes: [Region] = []

    /// - Parameters:
    ///   - size: Side of the input square.
    ///   - bytes: All of the input, with both maps empty.
    /// - Throws: `SegmentationError` of kind artifact: the input is declared otherwise.
    init(_ spec: TensorSpec, size: Int, bytes: [UInt8]) throws {
        layout = try MapLayout(spec, size: size)
        self.bytes = try Tensor(spec, bytes: bytes).bytes
    }

    /// Makes the maps those of a prompt. The rules are the same at every call.
    mutating func draw(_ prompt: PlacedPrompt, _ rules: PromptRules) {
        let (layout, size, marked) = (layout, layout.size, rules.markedValue)
        let whole = Region(rows: 0..<size, columns: 0..<size)
        let (lastArea, lastDiscs, lastHoles) = (area, discs, holes)
        let foreground = prompt.clicks.filter { $0.label == .foreground }
        let background =
            rules.carveBackground ? prompt.clicks.filter { $0.label == .background } : []
        let area = prompt.box.map { Region(inside: $0, of: whole) } ?? whole
        let order = rules.mapOrder == .clicksThenBox ? (clicks: 0, box: 1) : (clicks: 1, box: 0)
        (self.area, discs, holes) = bytes.withUnsafeMutableBytes { target in
            let clickMap = SquareMap(target, layout, order.clicks)
            let boxMap = SquareMap(target, layout, order.box)
            for disc in lastDiscs { clickMap.fill(disc, 0) }
            for hole in lastHoles { boxMap.fill(hole.clamped(to: lastArea), marked) }
            boxMap.fill(lastArea, except: area, 0)
            boxMap.fill(area, except: lastArea, marked)
            return (
                area,
                foreground.map { clickMap.fillDisc($0, radius: rules.clickRadius, marked) },
                background.map { boxMap.fillDisc($0, radius: rules.clickRadius, 0) }
            )
        }
    }

    /// Takes maps that were drawn elsewhere, 2 x size x size; nothing may be drawn afterwards.
    ///
    /// - Throws: `SegmentationError` of kind artifact: they are of another size.
    mutating func fill(_ maps: [UInt8]) throws {
        let (layout, size) = (layout, layout.size)
        guard maps.count == 2 * size * size else {
            throw SegmentationError.artifact(
                "prompt maps of \(maps.count) pixels do not fit an input of \(size)x\(size)")
        }
        bytes.withUnsafeMutableBytes { target in
            for channel in 0..<2 {
                let map = SquareMap(target, layout, channel)
                for row in 0..<size {
                    let start = (channel * size + row) * size
                    for column in 0..<size {
                        map.fill(row, column..<column + 1, maps[start + column])
                    }
                }
            }
        }
    }
}

/// Where an input holds the prompt maps, in bytes.
private struct MapLayout {
    let size: Int
    let dtype: ElementType
    /// The first map's first pixel.
    let start: Int
    /// From a pixel to its neighbor on the right.
    let step: Int
    /// From one map to the other.
    let distance: Int

    init(_ spec: TensorSpec, size: Int) throws {
        let (width, channels) = (spec.dtype.size, spec.name == "pixels" ? 5 : 2)
        switch (spec.layout, spec.shape) {
        case ("NCHW", [1, channels, size, size]):
            (step, distance) = (width, size * size * width)
        case ("NHWC", [1, size, size, channels]):
            (step, distance) = (channels * width, width)
        default:
            throw SegmentationError.artifact(
                "input '\(spec.name)' has no room for two prompt maps of \(size)x\(size)")
        }
        start = (channels - 2) * distance
        (self.size, dtype) = (size, spec.dtype)
    }
}

/// Pixels of a square.
private struct Region {
    let rows: Range<Int>
    let columns: Range<Int>

    static let nothing = Region(rows: 0..<0, columns: 0..<0)

    func clamped(to other: Region) -> Region {
        Region(rows: rows.clamped(to: other.rows), columns: columns.clamped(to: other.columns))
    }
}

extension Region {
    /// Pixel i belongs to the box where x0 <= i <= x1.
    init(inside box: Box, of whole: Region) {
        func pixels(_ low: Float, _ high: Float) -> Range<Int> {
            let first = Int(low.rounded(.up))
            return first..<max(Int(high.rounded(.down)) + 1, first)
        }
        self = Region(rows: pixels(box.y0, box.y1), columns: pixels(box.x0, box.x1))
            .clamped(to: whole)
    }
}

/// One map in an input's bytes; values are those of unsigned bytes, whatever the input holds.
private struct SquareMap {
    private let target: UnsafeMutableRawBufferPointer
    private let layout: MapLayout
    private let start: Int

    init(_ target: UnsafeMutableRawBufferPointer, _ layout: MapLayout, _ channel: Int) {
        (self.target, self.layout) = (target, layout)
        start = layout.start + channel * layout.distance
    }

    func fill(_ region: Region, except other: Region = .nothing, _ value: UInt8) {
        for row in region.rows {
            let left = other.rows.contains(row) ? other.columns : 0..<0
            fill(row, region.columns.clamped(to: 0..<left.lowerBound), value)
            fill(row, region.columns.clamped(to: left.upperBound..<layout.size), value)
        }
    }

    /// Sets the pixels whose centers lie within the radius; returns where they may lie.
    func fillDisc(_ click: Click, radius: Int, _ value: UInt8) -> Region {
        let (x, y) = (Double(click.x), Double(click.y))
        let (left, top) = (Int(x) - radius, Int(y) - radius)
        let side = 2 * radius + 2
        let region = Region(rows: top..<top + side, columns: left..<left + side)
            .clamped(to: Region(rows: 0..<layout.size, columns: 0..<layout.size))
        let limit = Double(radius * radius)
        for row in region.rows {
            for column in region.columns {
                let (dx, dy) = (Double(column) - x, Double(row) - y)
                if dx * dx + dy * dy <= limit { fill(row, column..<column + 1, value) }
            }
        }
        return region
    }

    func fill(_ row: Int, _ columns: Range<Int>, _ value: UInt8) {
        let first = start + (row * layout.size + columns.lowerBound) * layout.step
        let end = first + columns.count * layout.step
        switch layout.dtype {
        case .float32:
            for at in stride(from: first, to: end, by: layout.step) {
                target.storeBytes(of: Float(value), toByteOffset: at, as: Float.self)
            }
        case .uint8:
            for at in stride(from: first, to: end, by: layout.step) { target[at] = value }
        case .int8:
            // Minus 128 is the same bits with the highest one turned.
            for at in stride(from: first, to: end, by: layout.step) { target[at] = value ^ 0x80 }
        }
    }
}
