/// The numbers of a tensor in C order, wherever its rows begin in memory.
///
/// - Parameters:
///   - shape: Sizes of the axes.
///   - strides: Steps between neighbors along each axis, in elements.
///   - element: The number at a place in memory.
public func contiguous(
    shape: [Int], strides: [Int], element: (Int) -> Float
) -> [Float] {
    let count = shape.reduce(1, *)
    guard count > 0, let width = shape.last, let step = strides.last else { return [] }
    var values: [Float] = []
    values.reserveCapacity(count)
    var position = [Int](repeating: 0, count: shape.count - 1)
    for _ in 0..<count / width {
        var start = 0
        for (place, stride) in zip(position, strides) { start += place * stride }
        for column in 0..<width { values.append(element(start + column * step)) }
        for axis in position.indices.reversed() {
            position[axis] += 1
            if position[axis] < shape[axis] { break }
            position[axis] = 0
        }
    }
    return values
}

/// A half-precision number, by its bits: not every processor that runs this has the type.
public func floatOfHalf(_ bits: UInt16) -> Float {
    let sign: FloatingPointSign = bits & 0x8000 == 0 ? .plus : .minus
    let exponent = Int((bits >> 10) & 31)
    let fraction = Float(bits & 1023)
    switch exponent {
    case 0: return Float(sign: sign, exponent: -24, significand: fraction)
    case 31 where fraction == 0: return sign == .plus ? .infinity : -.infinity
    case 31: return .nan
    default: return Float(sign: sign, exponent: exponent - 25, significand: 1024 + fraction)
    }
}

/// How many operations of one kind a runtime plans to run on one unit of the device.
public struct PlannedOperations: Sendable, Hashable, Codable {
    /// The operation's name in the program: "ios17.conv".
    public let operation: String
    /// "cpu", "gpu" or "neuralEngine".
    public let unit: String
    public let count: Int
    /// Their share of the whole program's estimated cost, 0 to 1.
    public let cost: Double

    public init(operation: String, unit: String, count: Int, cost: Double) {
        self.operation = operation
        self.unit = unit
        self.count = count
        self.cost = cost
    }
}
