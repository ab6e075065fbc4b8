// A stand-in for ExecuTorch's Swift module, to type-check against where there is none.
import Foundation

public enum DataType: Int {
    case byte, char, short, int, long, half, float, double, bool, undefined
}

public enum ShapeDynamism: Int {
    case `static`, dynamicBound, dynamicUnbound
}

public protocol Scalar {
    static var dataType: DataType { get }
}

extension Float: Scalar {
    public static var dataType: DataType { .float }
}

public protocol ValueConvertible {
    func asValue() -> Value
}

open class Value: ValueConvertible {
    init() {}
    open var string: String? { nil }
    public func tensor<T: Scalar>() -> Tensor<T>? { nil }
    public func asValue() -> Value { self }
}

open class AnyTensor: ValueConvertible {
    public init(
        data: Data, shape: [Int], strides: [Int] = [], dimensionOrder: [Int] = [],
        dataType: DataType, shapeDynamism: ShapeDynamism = .dynamicBound
    ) {}
    public func asValue() -> Value { Value() }
}

public final class Tensor<T: Scalar> {
    public init(_ tensor: AnyTensor) {}
    public func scalars() -> [T] { [] }
}

open class Module {
    public init(filePath: String) {}
    open func load(_ method: String) throws {}
    public func execute(_ method: String, _ inputs: [ValueConvertible]) throws -> [Value] { [] }
    public func forward(_ inputs: [ValueConvertible]) throws -> [Value] { [] }
}
