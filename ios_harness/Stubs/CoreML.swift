// A stand-in for the system's module, to type-check against where there is none.
@_exported import CoreVideo
import Foundation

public enum MLComputeUnits: Int, Sendable {
    case cpuOnly, cpuAndGPU, all, cpuAndNeuralEngine
}

open class MLModelConfiguration {
    public init() {}
    open var computeUnits: MLComputeUnits = .all
}

public struct MLModelMetadataKey: RawRepresentable, Hashable, Sendable {
    public let rawValue: String
    public init(rawValue: String) { self.rawValue = rawValue }
    public static let creatorDefinedKey = MLModelMetadataKey(rawValue: "")
}

open class MLModelDescription {
    init() {}
    open var metadata: [MLModelMetadataKey: Any] { [:] }
}

public protocol MLFeatureProvider {
    var featureNames: Set<String> { get }
    func featureValue(for featureName: String) -> MLFeatureValue?
}

open class MLFeatureValue {
    public init(pixelBuffer value: CVPixelBuffer) {}
    public init(multiArray value: MLMultiArray) {}
    open var multiArrayValue: MLMultiArray? { nil }
}

public enum MLMultiArrayDataType: Int, Sendable {
    case double, float64, float32, float, float16, int32, int8
}

open class MLMultiArray {
    public init(shape: [NSNumber], dataType: MLMultiArrayDataType) throws {}
    open var dataType: MLMultiArrayDataType { .float32 }
    open var shape: [NSNumber] { [] }
    open var strides: [NSNumber] { [] }
    public func withUnsafeBytes<R>(
        _ body: (UnsafeRawBufferPointer) throws -> R
    ) rethrows -> R { try body(UnsafeRawBufferPointer(start: nil, count: 0)) }
    public func withUnsafeMutableBytes<R>(
        _ body: (UnsafeMutableRawBufferPointer, [Int]) throws -> R
    ) rethrows -> R { try body(UnsafeMutableRawBufferPointer(start: nil, count: 0), []) }
}

open class MLModel {
    public init(contentsOf url: URL, configuration: MLModelConfiguration) throws {}
    open var modelDescription: MLModelDescription { MLModelDescription() }
    open func prediction(from input: MLFeatureProvider) throws -> MLFeatureProvider {
        throw Missing()
    }
    public class func compileModel(at modelURL: URL) async throws -> URL { modelURL }
}

struct Missing: Error {}

public final class MLCPUComputeDevice: Sendable {}
public final class MLGPUComputeDevice: Sendable {}
public final class MLNeuralEngineComputeDevice: Sendable {}

public enum MLComputeDevice: Sendable {
    case cpu(MLCPUComputeDevice)
    case gpu(MLGPUComputeDevice)
    case neuralEngine(MLNeuralEngineComputeDevice)
}

public enum MLModelStructure: Sendable {
    case neuralNetwork
    case program(Program)
    case pipeline
    case unsupported

    public struct Program: Sendable {
        public let functions: [String: Function]

        public struct Function: Sendable {
            public let block: Block
        }

        public struct Block: Sendable {
            public let operations: [Operation]
        }

        public struct Operation: Sendable {
            public let operatorName: String
            public let blocks: [Block]
        }
    }
}

public final class MLComputePlan: Sendable {
    public struct DeviceUsage: Sendable {
        public let supported: [MLComputeDevice]
        public let preferred: MLComputeDevice
    }

    public struct Cost: Sendable {
        public let weight: Double
    }

    init() {}
    public var modelStructure: MLModelStructure { .unsupported }
    public func deviceUsage(for operation: MLModelStructure.Program.Operation) -> DeviceUsage? {
        nil
    }
    public func estimatedCost(of operation: MLModelStructure.Program.Operation) -> Cost? { nil }
    public class func load(
        contentsOf url: URL, configuration: MLModelConfiguration
    ) async throws -> MLComputePlan { MLComputePlan() }
}
