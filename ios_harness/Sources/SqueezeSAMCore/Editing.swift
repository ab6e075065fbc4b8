/// A photo shown as large as a view allows, in the middle of it.
public struct Viewport: Sendable, Hashable {
    public let imageWidth: Int
    public let imageHeight: Int
    /// Points of the view for each pixel of the photo.
    public let scale: Double
    /// Where the photo's left upper corner lies in the view.
    public let left: Double
    public let top: Double

    public init(imageWidth: Int, imageHeight: Int, viewWidth: Double, viewHeight: Double) {
        self.imageWidth = imageWidth
        self.imageHeight = imageHeight
        scale = max(
            min(viewWidth / Double(imageWidth), viewHeight / Double(imageHeight)),
            .leastNonzeroMagnitude)
        left = (viewWidth - Double(imageWidth) * scale) / 2
        top = (viewHeight - Double(imageHeight) * scale) / 2
    }

    public var shownWidth: Double { Double(imageWidth) * scale }
    public var shownHeight: Double { Double(imageHeight) * scale }

    /// The pixel under a point of the view, whose center has whole numbers; nil beside the photo.
    public func pixel(x: Double, y: Double) -> (x: Float, y: Float)? {
        let (column, row) = ((x - left) / scale, (y - top) / scale)
        guard column >= 0, row >= 0, column <= Double(imageWidth), row <= Double(imageHeight)
        else { return nil }
        return (Float(column - 0.5), Float(row - 0.5))
    }

    /// The nearest point of the photo, for a drag that leaves it.
    public func nearestPixel(x: Double, y: Double) -> (x: Float, y: Float) {
        let column = min(max((x - left) / scale, 0), Double(imageWidth))
        let row = min(max((y - top) / scale, 0), Double(imageHeight))
        return (Float(column - 0.5), Float(row - 0.5))
    }

    /// Where a pixel's center is shown.
    public func place(x: Float, y: Float) -> (x: Double, y: Double) {
        (left + (Double(x) + 0.5) * scale, top + (Double(y) + 0.5) * scale)
    }
}

/// A prompt that is being made, with the ones before it.
public struct PromptEditor: Sendable, Hashable {
    public private(set) var prompt: Prompt
    private var earlier: [Prompt] = []
    private let automatic: Prompt?

    public init() {
        prompt = Prompt()
        automatic = nil
    }

    /// - Parameter automatic: The clicks of the automatic start.
    public init(automatic: Prompt) {
        prompt = automatic
        self.automatic = automatic
    }

    public var canUndo: Bool { !earlier.isEmpty }

    /// Whether nobody has changed the automatic start, or all changes were taken back.
    public var isAutomatic: Bool { prompt == automatic }

    public mutating func add(_ click: Click) {
        change(to: prompt.adding(click))
    }

    /// A box that a person draws stands for itself: the clicks of the automatic start leave.
    public mutating func set(_ box: Box?) {
        let own = prompt.clicks.filter { automatic?.clicks.contains($0) != true }
        change(to: Prompt(clicks: own, box: box))
    }

    /// Takes the click away that lies within a distance of a place, the nearest one.
    ///
    /// - Returns: Whether there was one.
    public mutating func removeClick(nearX x: Float, y: Float, within distance: Float) -> Bool {
        let distances = prompt.clicks.map { click -> Float in
            let (dx, dy) = (click.x - x, click.y - y)
            return (dx * dx + dy * dy).squareRoot()
        }
        guard let nearest = distances.indices.min(by: { distances[$0] < distances[$1] }),
            distances[nearest] <= distance,
            let kept = try? prompt.removingClick(at: nearest)
        else { return false }
        change(to: kept)
        return true
    }

    public mutating func undo() {
        guard let last = earlier.popLast() else { return }
        prompt = last
    }

    public mutating func clear() {
        change(to: Prompt())
    }

    private mutating func change(to next: Prompt) {
        earlier.append(prompt)
        prompt = next
    }
}
