/// A tap, in pixels of the upright photo; the center of the first pixel is (0, 0).
public struct Click: Sendable, Hashable {
    public enum Label: Int, Sendable {
        /// "Not this."
        case background = 0
        /// "This."
        case foreground = 1
    }

    public var x: Float
    public var y: Float
    public var label: Label

    public init(x: Float, y: Float, label: Label = .foreground) {
        self.x = x
        self.y = y
        self.label = label
    }
}

/// A rectangle by two opposite corners, in pixels of the upright photo.
public struct Box: Sendable, Hashable {
    public var x0: Float
    public var y0: Float
    public var x1: Float
    public var y1: Float

    public init(x0: Float, y0: Float, x1: Float, y1: Float) {
        self.x0 = x0
        self.y0 = y0
        self.x1 = x1
        self.y1 = y1
    }
}

/// Clicks and a box; a value, so that undoing a click is going back to an earlier prompt.
public struct Prompt: Sendable, Hashable {
    public var clicks: [Click]
    public var box: Box?

    public init(clicks: [Click] = [], box: Box? = nil) {
        self.clicks = clicks
        self.box = box
    }

    /// A prompt in SAM's words.
    ///
    /// - Parameters:
    ///   - pointCoords: x and y of each point.
    ///   - pointLabels: 1 foreground, 0 background, -1 no point.
    ///   - box: x0, y0, x1, y1.
    /// - Throws: `SegmentationError` of kind usage: there are not as many labels as points, a label
    ///   is none of these, or the box has not four numbers.
    public init(pointCoords: [[Float]], pointLabels: [Int], box: [Float]? = nil) throws {
        guard pointCoords.count == pointLabels.count, pointCoords.allSatisfy({ $0.count == 2 })
        else { throw SegmentationError.usage("every point has x, y and a label") }
        clicks = try zip(pointCoords, pointLabels).compactMap { coords, number in
            if number == -1 { return nil }
            guard let label = Click.Label(rawValue: number) else {
                throw SegmentationError.usage(
                    "labels are 1 (foreground), 0 (background) or -1 (no point), got \(number)")
            }
            return Click(x: coords[0], y: coords[1], label: label)
        }
        guard box == nil || box?.count == 4 else {
            throw SegmentationError.usage("a box is x0, y0, x1, y1")
        }
        self.box = box.map { Box(x0: $0[0], y0: $0[1], x1: $0[2], y1: $0[3]) }
    }

    public var isEmpty: Bool { clicks.isEmpty && box == nil }

    /// The prompt with one more click, the latest.
    public func adding(_ click: Click) -> Prompt {
        Prompt(clicks: clicks + [click], box: box)
    }

    /// The prompt without one of its clicks.
    ///
    /// - Throws: `SegmentationError` of kind usage where there is no such click.
    public func removingClick(at index: Int) throws -> Prompt {
        guard clicks.indices.contains(index) else {
            throw SegmentationError.usage(
                "click \(index) does not exist: the prompt has \(clicks.count)")
        }
        var kept = clicks
        kept.remove(at: index)
        return Prompt(clicks: kept, box: box)
    }

    /// The prompt with at most so many clicks: the first, which says which object is meant, and
    /// the latest, which correct what still is wrong.
    public func limited(to count: Int) -> Prompt {
        guard clicks.count > count else { return self }
        guard count > 0 else { return Prompt(box: box) }
        return Prompt(clicks: [clicks[0]] + clicks.suffix(count - 1), box: box)
    }

    /// The prompt as it counts on a photo: clicks moved inside it, the box cut at its edges.
    ///
    /// A click outside moves to the nearest pixel, as a finger that slips off the photo means it.
    ///
    /// - Throws: `SegmentationError` of kind usage: a number is not finite, a click lies farther
    ///   outside than the photo is large, the box lies outside, or all clicks or the box are
    ///   shares of the photo (0 to 1) instead of pixels.
    public func validated(width: Int, height: Int) throws -> Prompt {
        try refuseNotFinite()
        let moved = try box.map { try $0.cut(width: width, height: height) }
        try refuseFractions(width: width, height: height)
        try refuseFarAway(width: width, height: height)
        let (right, bottom) = (Float(width - 1), Float(height - 1))
        let inside = clicks.map {
            Click(x: min(max($0.x, 0), right), y: min(max($0.y, 0), bottom), label: $0.label)
        }
        return Prompt(clicks: inside, box: moved)
    }

    private func refuseNotFinite() throws {
        let corners: [Float] = box.map { [$0.x0, $0.y0, $0.x1, $0.y1] } ?? []
        let places: [Float] = clicks.flatMap { [$0.x, $0.y] }
        guard places.allSatisfy(\.isFinite), corners.allSatisfy(\.isFinite) else {
            throw SegmentationError.usage("clicks and box must be finite numbers")
        }
    }

    private func refuseFractions(width: Int, height: Int) throws {
        // A photo of a few pixels has clicks in 0...1 that are no mistake.
        guard min(width, height) >= 8 else { return }
        let values: [Float] = clicks.flatMap { [$0.x, $0.y] }
        let corners: [Float] = box.map { [$0.x0, $0.y0, $0.x1, $0.y1] } ?? []
        let unit: ClosedRange<Float> = 0...1
        let broken = values.contains { $0 != $0.rounded(.towardZero) }
        let clicksAreShares = broken && values.allSatisfy(unit.contains)
        let boxIsShares = !corners.isEmpty && corners.allSatisfy(unit.contains)
        guard !clicksAreShares && !boxIsShares else {
            throw SegmentationError.usage(
                "clicks or box look like shares of the photo: give pixels of its \(width)x\(height)"
            )
        }
    }

    private func refuseFarAway(width: Int, height: Int) throws {
        let (w, h) = (Float(width), Float(height))
        for click in clicks
        where click.x < -w || click.y < -h || click.x > 2 * w || click.y > 2 * h {
            throw SegmentationError.usage(
                "the click (\(click.x), \(click.y)) lies far outside the photo of "
                    + "\(width)x\(height) pixels")
        }
    }
}

extension Box {
    fileprivate func cut(width: Int, height: Int) throws -> Box {
        let (right, bottom) = (Float(width - 1), Float(height - 1))
        let (left, top) = (min(x0, x1), min(y0, y1))
        let (far, low) = (max(x0, x1), max(y0, y1))
        guard far >= 0, low >= 0, left <= right + 1, top <= bottom + 1 else {
            throw SegmentationError.usage(
                "the box (\(x0), \(y0), \(x1), \(y1)) lies outside the photo of "
                    + "\(width)x\(height) pixels")
        }
        func clipped(_ value: Float, _ limit: Float) -> Float { min(max(value, 0), limit) }
        return Box(
            x0: clipped(left, right), y0: clipped(top, bottom),
            x1: clipped(far, right), y1: clipped(low, bottom))
    }
}
