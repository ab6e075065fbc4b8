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
        let counted = try validated(width: width, height: height).limited(to: rules.maxClicks)
        let across = Float(Double(size) / Double(width))
        let down = Float(Double(size) / Double(height))
        let clicks = counted.clicks.map {
            Click(x: $0.x * across, y: $0.y * down, label: $0.label)
        }
        let box = counted.box.map {
            Box(x0: $0.x0 * across, y0: $0.y0 * down, x1: $0.x1 * across, y1: $0.y1 * down)
        }
        let (coords, labels) = listPoints(clicks, box, rules)
        return EncodedPrompt(
            maps: drawMaps(clicks, box, size, rules), pointCoords: coords, pointLabels: labels)
    }
}

private func drawMaps(_ clicks: [Click], _ box: Box?, _ size: Int, _ rules: PromptRules) -> [UInt8]
{
    var clickMap = SquareMap(size: size, value: 0)
    var boxMap = SquareMap(size: size, value: box == nil ? rules.markedValue : 0)
    if let box { boxMap.fill(box, rules.markedValue) }
    for click in clicks {
        if click.label == .foreground {
            clickMap.fillDisc(click, radius: rules.clickRadius, rules.markedValue)
        } else if rules.carveBackground {
            boxMap.fillDisc(click, radius: rules.clickRadius, 0)
        }
    }
    switch rules.mapOrder {
    case .clicksThenBox: return clickMap.pixels + boxMap.pixels
    case .boxThenClicks: return boxMap.pixels + clickMap.pixels
    }
}

private func listPoints(
    _ clicks: [Click], _ box: Box?, _ rules: PromptRules
) -> (coords: [Float], labels: [Float]) {
    var coords: [Float] = clicks.flatMap { [$0.x, $0.y] }
    var labels: [Float] = clicks.map { Float($0.label.rawValue) }
    if let box {
        coords += [box.x0, box.y0, box.x1, box.y1]
        labels += [2, 3]
    }
    coords += Array(repeating: 0, count: rules.maxPoints * 2 - coords.count)
    labels += Array(repeating: -1, count: rules.maxPoints - labels.count)
    return (coords, labels)
}

private struct SquareMap {
    let size: Int
    var pixels: [UInt8]

    init(size: Int, value: UInt8) {
        self.size = size
        pixels = Array(repeating: value, count: size * size)
    }

    /// Pixel i belongs to the box where x0 <= i <= x1.
    mutating func fill(_ box: Box, _ value: UInt8) {
        let left = max(Int(box.x0.rounded(.up)), 0)
        let top = max(Int(box.y0.rounded(.up)), 0)
        let right = min(Int(box.x1.rounded(.down)) + 1, size)
        let bottom = min(Int(box.y1.rounded(.down)) + 1, size)
        guard left < right, top < bottom else { return }
        for y in top..<bottom {
            for x in left..<right { pixels[y * size + x] = value }
        }
    }

    /// The pixels whose centers lie within the radius.
    mutating func fillDisc(_ click: Click, radius: Int, _ value: UInt8) {
        let (x, y) = (Double(click.x), Double(click.y))
        let (left, right) = (max(Int(x) - radius, 0), min(Int(x) + radius + 2, size))
        let (top, bottom) = (max(Int(y) - radius, 0), min(Int(y) + radius + 2, size))
        guard left < right, top < bottom else { return }
        let limit = Double(radius * radius)
        for row in top..<bottom {
            for column in left..<right {
                let (dx, dy) = (Double(column) - x, Double(row) - y)
                if dx * dx + dy * dy <= limit { pixels[row * size + column] = value }
            }
        }
    }
}
