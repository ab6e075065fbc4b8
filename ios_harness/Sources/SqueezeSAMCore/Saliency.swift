#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// A map of how much each place of a photo stands out; it covers the whole photo.
public struct SaliencyMap: Sendable, Hashable {
    public let width: Int
    public let height: Int
    /// `height` x `width`, higher is more salient.
    public let values: [Float]

    /// - Throws: `SegmentationError` of kind artifact: no such map, or a value that is not finite.
    public init(width: Int, height: Int, values: [Float]) throws {
        guard width > 0, height > 0, values.count == width * height,
            values.allSatisfy(\.isFinite)
        else {
            throw SegmentationError.artifact(
                "a saliency map must be \(width)x\(height) finite numbers")
        }
        self.width = width
        self.height = height
        self.values = values
    }

    /// The map of a network's logits: their sigmoid, in steps of 1/255.
    ///
    /// - Throws: As the other initializer.
    public init(width: Int, height: Int, logits: [Float]) throws {
        try self.init(
            width: width, height: height,
            values: logits.map { (logit: Float) -> Float in
                let bounded: Double = min(max(Double(logit), -30), 30)
                return SaliencyMap.inSteps(1 / (1 + exp(-bounded)))
            })
    }

    /// A probability in the steps of an 8-bit picture: a difference of 1e-7 between two runtimes
    /// must not choose another object.
    public static func inSteps(_ probability: Double) -> Float {
        let bounded: Double = min(max(probability, 0), 1)
        return Float((bounded * 255).rounded(.toNearestOrEven)) / 255
    }
}

/// Five clicks on the most salient blob of a map, and what they were read from.
public struct SaliencyClicks: Sendable, Hashable {
    /// (x, y) in pixels of the map: the blob's center of mass, then those of its sections, top
    /// left, top right, bottom left, bottom right.
    public let points: [Point]
    /// The blob: 1 inside, 0 outside, at the size of the map.
    public let blob: [UInt8]
    public let width: Int
    public let height: Int
    /// Lowest saliency that belongs to a blob.
    public let threshold: Double
    /// Highest saliency of the map, and how many pixels of the blob have it.
    public let maximum: Float
    public let maximumCount: Int

    /// A place in pixels, whose centers lie at whole numbers.
    public struct Point: Sendable, Hashable {
        public let x: Double
        public let y: Double
    }

    /// The prompt of the automatic start on a photo: the clicks and the blob's box.
    public func prompt(width: Int, height: Int) -> Prompt {
        Prompt(clicks: clicks(width: width, height: height), box: box(width: width, height: height))
    }

    /// The blob's edges on a photo that the map covers whole.
    public func box(width: Int, height: Int) -> Box {
        let inside = blob.indices.filter { blob[$0] != 0 }
        let (columns, rows) = (inside.map { $0 % self.width }, inside.map { $0 / self.width })
        let (left, right) = (columns.min() ?? 0, (columns.max() ?? 0) + 1)
        let (top, bottom) = (rows.min() ?? 0, (rows.max() ?? 0) + 1)
        return Box(
            x0: Float(Double(left * width) / Double(self.width)),
            y0: Float(Double(top * height) / Double(self.height)),
            x1: Float(Double(right * width) / Double(self.width)),
            y1: Float(Double(bottom * height) / Double(self.height)))
    }

    /// The blob on the grid of low-resolution masks, size x size: 1 inside, 0 outside.
    public func blobOnGrid(_ size: Int) -> [UInt8] {
        let columns = (0..<size).map { (2 * $0 + 1) * width / (2 * size) }
        let rows = (0..<size).map { (2 * $0 + 1) * height / (2 * size) }
        return rows.flatMap { row in columns.map { blob[row * width + $0] } }
    }

    /// The points on a photo that the map covers whole, as foreground clicks.
    public func clicks(width: Int, height: Int) -> [Click] {
        let across = Double(width) / Double(self.width)
        let down = Double(height) / Double(self.height)
        return points.map { point in
            let (x, y): (Float, Float) = (Float(point.x) + 0.5, Float(point.y) + 0.5)
            return Click(
                x: Float(Double(x) * across - 0.5), y: Float(Double(y) * down - 0.5))
        }
    }
}

extension SaliencyMap {
    /// Five clicks on the most salient blob: Otsu's threshold, 8-connected blobs, the one with the
    /// highest saliency, its center of mass and those of its four sections.
    public func clicks() -> SaliencyClicks {
        let levels = self.levels()
        let split = otsuSplit(levels)
        let blob = salientBlob(levels.map { $0 > split })
        let (lowest, highest) = range
        let inside = values.indices.filter { blob[$0] != 0 }.map { values[$0] }
        let maximum = inside.max() ?? 0
        return SaliencyClicks(
            points: Blob(blob, width: width, height: height).clicks(),
            blob: blob,
            width: width,
            height: height,
            threshold: lowest + (highest - lowest) * Double(split + 1) / 256,
            maximum: maximum,
            maximumCount: inside.reduce(0) { $0 + ($1 == maximum ? 1 : 0) })
    }

    private var range: (lowest: Double, highest: Double) {
        (Double(values.min() ?? 0), Double(values.max() ?? 0))
    }

    /// Each value as one of 256 equal steps between the lowest and the highest.
    private func levels() -> [Int] {
        let (lowest, highest) = range
        guard lowest < highest else { return Array(repeating: 0, count: values.count) }
        return values.map { value in
            let share: Double = (Double(value) - lowest) / (highest - lowest)
            return min(Int(share * 256), 255)
        }
    }

    /// 1 where the chosen blob is.
    private func salientBlob(_ above: [Bool]) -> [UInt8] {
        let (labels, count) = connected(above)
        let highest = values.max() ?? 0
        var peaks = [Int](repeating: 0, count: count)
        var sizes = [Int](repeating: 0, count: count)
        for (label, value) in zip(labels, values) where label >= 0 {
            sizes[label] += 1
            if value == highest { peaks[label] += 1 }
        }
        // Blobs are numbered in reading order, and of equal ones the first is kept.
        var best = 0
        for label in 0..<count {
            let more = peaks[label] > peaks[best]
            let larger = peaks[label] == peaks[best] && sizes[label] > sizes[best]
            if more || larger { best = label }
        }
        return labels.map { $0 == best ? 1 : 0 }
    }

    /// Number of the 8-connected blob of each pixel, in reading order; -1 outside.
    private func connected(_ above: [Bool]) -> (labels: [Int], count: Int) {
        var labels = [Int](repeating: -1, count: above.count)
        var count = 0
        var waiting: [Int] = []
        for start in above.indices where above[start] && labels[start] < 0 {
            labels[start] = count
            waiting.append(start)
            while let pixel = waiting.popLast() {
                let (x, y) = (pixel % width, pixel / width)
                for row in max(y - 1, 0)...min(y + 1, height - 1) {
                    for column in max(x - 1, 0)...min(x + 1, width - 1) {
                        let next = row * width + column
                        if above[next] && labels[next] < 0 {
                            labels[next] = count
                            waiting.append(next)
                        }
                    }
                }
            }
            count += 1
        }
        return (labels, count)
    }
}

/// Relative difference under which two numbers are equal, so that rounding never decides.
private let tie = 1e-9

/// The level after which Otsu's method splits; -1 where there is one level only.
private func otsuSplit(_ levels: [Int]) -> Int {
    var counts = [Int](repeating: 0, count: 256)
    for level in levels { counts[level] += 1 }
    let total = levels.count
    var (below, momentBelow, moment) = (0, 0, 0)
    for level in 0..<256 { moment += level * counts[level] }
    let variances = (0..<255).map { level -> Double in
        below += counts[level]
        momentBelow += counts[level] * level
        let above = total - below
        let momentAbove = moment - momentBelow
        let difference = Double(momentBelow * above - momentAbove * below)
        return difference * difference / max(Double(below) * Double(above), 1)
    }
    let best = variances.max() ?? 0
    guard best > 0 else { return -1 }
    return variances.firstIndex { $0 >= best * (1 - tie) } ?? -1
}

/// One blob, cut out of its map.
private struct Blob {
    private let left: Int
    private let top: Int
    private let width: Int
    private let height: Int
    private let inside: [Bool]

    init(_ blob: [UInt8], width: Int, height: Int) {
        let pixels = blob.indices.filter { blob[$0] != 0 }
        let (columns, rows) = (pixels.map { $0 % width }, pixels.map { $0 / width })
        let (left, right) = (columns.min() ?? 0, columns.max() ?? 0)
        let (top, bottom) = (rows.min() ?? 0, rows.max() ?? 0)
        self.left = left
        self.top = top
        self.width = right - left + 1
        self.height = bottom - top + 1
        inside = (top...bottom).flatMap { row in
            (left...right).map { blob[row * width + $0] != 0 }
        }
    }

    func clicks() -> [SaliencyClicks.Point] {
        centers().map { center in
            let moved = movedInside(center)
            return SaliencyClicks.Point(x: moved.x + Double(left), y: moved.y + Double(top))
        }
    }

    /// The blob's own center of mass and those of its sections.
    private func centers() -> [SaliencyClicks.Point] {
        let whole = Array(repeating: 1.0, count: max(width, height))
        let middles = (0..<max(width, height)).map(Double.init)
        let (area, x, y) = weighed(whole, middles, whole, middles)
        let center = SaliencyClicks.Point(x: x / area, y: y / area)
        var centers = [center]
        for (rowShares, rowMiddles) in halves(height, center.y) {
            for (columnShares, columnMiddles) in halves(width, center.x) {
                let (section, x, y) = weighed(rowShares, rowMiddles, columnShares, columnMiddles)
                centers.append(
                    section <= area * tie
                        ? center : SaliencyClicks.Point(x: x / section, y: y / section))
            }
        }
        return centers
    }

    /// Area of the blob where rows and columns count by their shares, and its moments.
    private func weighed(
        _ rowShares: [Double], _ rowMiddles: [Double], _ columnShares: [Double],
        _ columnMiddles: [Double]
    ) -> (area: Double, x: Double, y: Double) {
        var (area, x, y) = (0.0, 0.0, 0.0)
        for row in 0..<height {
            for column in 0..<width where inside[row * width + column] {
                let share = rowShares[row] * columnShares[column]
                area += share
                x += share * columnMiddles[column]
                y += share * rowMiddles[row]
            }
        }
        return (area, x, y)
    }

    /// The part of each unit square on one side of a line: its share, and its middle.
    private func halves(_ count: Int, _ line: Double) -> [(shares: [Double], middles: [Double])] {
        let positions: [Double] = (0..<count).map { Double($0) }
        let before: [Double] = positions.map { min(max(line - $0 + 0.5, 0), 1) }
        let after: [Double] = before.map { 1 - $0 }
        let first: [Double] = zip(positions, before).map { $0 - 0.5 + $1 / 2 }
        let second: [Double] = zip(positions, after).map { $0 + 0.5 - $1 / 2 }
        return [(before, first), (after, second)]
    }

    /// The point itself where its pixel belongs to the blob, else the nearest pixel that does.
    private func movedInside(_ point: SaliencyClicks.Point) -> SaliencyClicks.Point {
        let column = min(Int((point.x + 0.5).rounded(.down)), width - 1)
        let row = min(Int((point.y + 0.5).rounded(.down)), height - 1)
        if inside[row * width + column] { return point }
        let pixels = inside.indices.filter { inside[$0] }
        let distances = pixels.map { pixel -> Double in
            let across: Double = max(abs(Double(pixel % width) - point.x) - 0.5, 0)
            let down: Double = max(abs(Double(pixel / width) - point.y) - 0.5, 0)
            return across * across + down * down
        }
        let limit: Double = (distances.min() ?? 0) * (1 + tie) + tie
        let nearest = pixels[distances.firstIndex { $0 <= limit } ?? 0]
        return SaliencyClicks.Point(x: Double(nearest % width), y: Double(nearest / width))
    }
}
