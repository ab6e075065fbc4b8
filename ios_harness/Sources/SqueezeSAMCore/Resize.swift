extension RGBImage {
    /// The image stretched to a square, as a network takes it.
    public func stretched(to size: Int, by rule: ArtifactMetadata.Resize) -> RGBImage {
        switch rule {
        case .antialiased: return antialiased(to: size)
        case .bilinear: return bilinear(to: size)
        }
    }

    /// Pillow's BILINEAR: first the width, then the height, each rounded to 8 bits.
    private func antialiased(to size: Int) -> RGBImage {
        let wide = width == size ? self : filteredAcross(Filter(from: width, to: size))
        return wide.height == size ? wide : wide.filteredDown(Filter(from: height, to: size))
    }

    private func filteredAcross(_ filter: Filter) -> RGBImage {
        let size = filter.starts.count
        let (height, stride) = (self.height, width * 3)
        let target = filled(height * size * 3) { target in
            pixels.withUnsafeBufferPointer { source in
                for y in 0..<height {
                    let row = y * stride
                    for x in 0..<size {
                        var (red, green, blue) = (Filter.half, Filter.half, Filter.half)
                        var from = row + filter.starts[x] * 3
                        for tap in filter.taps(x) {
                            let weight = filter.weights[tap]
                            red += Int(source[from]) * weight
                            green += Int(source[from + 1]) * weight
                            blue += Int(source[from + 2]) * weight
                            from += 3
                        }
                        let to = (y * size + x) * 3
                        target[to] = Filter.clipped(red)
                        target[to + 1] = Filter.clipped(green)
                        target[to + 2] = Filter.clipped(blue)
                    }
                }
            }
        }
        return RGBImage(checkedWidth: size, height: height, pixels: target)
    }

    private func filteredDown(_ filter: Filter) -> RGBImage {
        let size = filter.starts.count
        let stride = width * 3
        let target = filled(size * stride) { target in
            pixels.withUnsafeBufferPointer { source in
                var sums = [Int](repeating: 0, count: stride)
                for y in 0..<size {
                    for i in 0..<stride { sums[i] = Filter.half }
                    var row = filter.starts[y] * stride
                    for tap in filter.taps(y) {
                        let weight = filter.weights[tap]
                        for i in 0..<stride { sums[i] += Int(source[row + i]) * weight }
                        row += stride
                    }
                    for i in 0..<stride { target[y * stride + i] = Filter.clipped(sums[i]) }
                }
            }
        }
        return RGBImage(checkedWidth: width, height: size, pixels: target)
    }

    /// torch's `interpolate(mode="bilinear", align_corners=False)`, rounded half to even.
    private func bilinear(to size: Int) -> RGBImage {
        let across = Neighbors.list(from: width, to: size)
        let down = Neighbors.list(from: height, to: size)
        let stride = width * 3
        let target = filled(size * size * 3) { target in
            pixels.withUnsafeBufferPointer { source in
                for (y, vertical) in down.enumerated() {
                    let (upper, lower) = (vertical.first * stride, vertical.second * stride)
                    for (x, horizontal) in across.enumerated() {
                        for channel in 0..<3 {
                            let left = horizontal.first * 3 + channel
                            let right = horizontal.second * 3 + channel
                            let above = horizontal.mixed(
                                Float(source[upper + left]), Float(source[upper + right]))
                            let below = horizontal.mixed(
                                Float(source[lower + left]), Float(source[lower + right]))
                            let value = vertical.mixed(above, below)
                            target[(y * size + x) * 3 + channel] = UInt8(
                                value.rounded(.toNearestOrEven))
                        }
                    }
                }
            }
        }
        return RGBImage(checkedWidth: size, height: size, pixels: target)
    }
}

func filled(
    _ count: Int, _ body: (UnsafeMutableBufferPointer<UInt8>) -> Void
) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: count) { target, initialized in
        body(target)
        initialized = count
    }
}

/// Pillow's coefficients of a triangle filter, in fixed point.
private struct Filter {
    /// First source position of each output position.
    var starts: [Int] = []
    /// Where the weights of each output position begin; one more than there are positions.
    var bounds: [Int] = [0]
    var weights: [Int] = []

    static let bits = 22
    static let half = 1 << (bits - 1)

    static func clipped(_ sum: Int) -> UInt8 { UInt8(min(max(sum >> bits, 0), 255)) }

    func taps(_ position: Int) -> Range<Int> { bounds[position]..<bounds[position + 1] }

    init(from source: Int, to target: Int) {
        let scale = Double(source) / Double(target)
        let support = max(scale, 1)
        for position in 0..<target {
            let center: Double = (Double(position) + 0.5) * scale
            let start = max(Int(center - support + 0.5), 0)
            let end = min(Int(center + support + 0.5), source)
            let inverse: Double = 1 / support
            let heights: [Double] = (start..<end).map { x in
                let distance: Double = (Double(x) - center + 0.5) * inverse
                return max(1 - abs(distance), 0)
            }
            let sum: Double = heights.reduce(0, +)
            starts.append(start)
            for height in heights {
                let share: Double = sum == 0 ? height : height / sum
                weights.append(Int(0.5 + share * Double(1 << Filter.bits)))
            }
            bounds.append(weights.count)
        }
    }
}

/// The two source positions that a bilinear output position lies between, in float32 as torch.
struct Neighbors {
    let first: Int
    let second: Int
    let firstShare: Float
    let secondShare: Float

    func mixed(_ a: Float, _ b: Float) -> Float { firstShare * a + secondShare * b }

    static func list(from source: Int, to target: Int) -> [Neighbors] {
        let scale = Float(source) / Float(target)
        return (0..<target).map { position in
            let place: Float = max(scale * (Float(position) + 0.5) - 0.5, 0)
            let first = min(Int(place), source - 1)
            let share: Float = min(max(place - Float(first), 0), 1)
            return Neighbors(
                first: first, second: min(first + 1, source - 1), firstShare: 1 - share,
                secondShare: share)
        }
    }
}
