#if canImport(CoreML)
import CoreML
import Foundation
import ObjectiveC
import SqueezeSAMCore

/// A Core ML artifact.
///
///     let package = try ModelPackage(folder: SqueezesamNanoModels.folder)
///     let backend = try await CoreMLBackend(package.model(runtime: "coreml"))
public final class CoreMLBackend: Backend, @unchecked Sendable {
    /// What loading is busy with; the first time on a device takes seconds.
    public enum LoadingStep: Sendable {
        case compiling
        case loading
    }

    public let metadata: ArtifactMetadata
    /// Where the compiled model lies.
    public let compiled: URL
    private let model: MLModel
    private let computeUnits: MLComputeUnits
    private let images = ImageInputs()

    /// Opens a model of a package, compiled if it was not before.
    ///
    /// - Parameters:
    ///   - computeUnits: Where Core ML may run it; `plannedOperations()` says where it does.
    ///   - cache: Compiled models.
    ///   - progress: Told when a step begins, from any thread.
    /// - Throws: `SegmentationError`, or what Core ML throws.
    public convenience init(
        _ file: ModelFile, computeUnits: MLComputeUnits = .all,
        cache: CompiledModels = .caches,
        progress: (@Sendable (LoadingStep) -> Void)? = nil
    ) async throws {
        try await self.init(
            package: file.url, sha256: file.sha256, computeUnits: computeUnits, cache: cache,
            progress: progress)
    }

    /// Opens an `.mlpackage`.
    ///
    /// - Parameter sha256: Its digest; nil computes it.
    /// - Throws: As the other initializer.
    public convenience init(
        package: URL, sha256: String? = nil, computeUnits: MLComputeUnits = .all,
        cache: CompiledModels = .caches,
        progress: (@Sendable (LoadingStep) -> Void)? = nil
    ) async throws {
        let version = ProcessInfo.processInfo.operatingSystemVersion
        let system = "\(version.majorVersion).\(version.minorVersion).\(version.patchVersion)"
        // A system that is new compiles anew: what it makes of a package is its own affair.
        let key = "\(try sha256 ?? artifactDigest(package))-\(system)"
        if await !cache.isReady(key) { progress?(.compiling) }
        let compiled = try await cache.url(of: package, key: key)
        progress?(.loading)
        do {
            try self.init(compiled: compiled, computeUnits: computeUnits)
        } catch is SegmentationError {
            throw SegmentationError.artifact("\(package.path) is no model of this project")
        } catch {
            // A compiled model that does not load was damaged on the disk: once more from the start.
            try await cache.discard(key)
            progress?(.compiling)
            let again = try await cache.url(of: package, key: key)
            progress?(.loading)
            try self.init(compiled: again, computeUnits: computeUnits)
        }
    }

    /// Opens a model that is compiled already.
    ///
    /// - Throws: `SegmentationError` of kind artifact: it carries no metadata of this project; or
    ///   what Core ML throws.
    public init(compiled: URL, computeUnits: MLComputeUnits = .all) throws {
        let configuration = MLModelConfiguration()
        configuration.computeUnits = computeUnits
        model = try MLModel(contentsOf: compiled, configuration: configuration)
        self.compiled = compiled
        self.computeUnits = computeUnits
        let stored = model.modelDescription.metadata[.creatorDefinedKey] as? [String: String]
        guard let text = stored?[ArtifactMetadata.key] else {
            throw SegmentationError.artifact("\(compiled.path) carries no metadata of this project")
        }
        metadata = try ArtifactMetadata(json: Data(text.utf8), source: compiled.path)
    }

    public func run(_ inputs: [Tensor]) throws -> [String: [Float]] {
        let inference = try prepare(inputs)
        return try inference()
    }

    public func prepare(_ inputs: [Tensor]) throws -> @Sendable () throws -> [String: [Float]] {
        let features = Features(try inputs.map { ($0.spec.name, try feature($0)) })
        return { try self.outputs(features) }
    }

    /// Which unit of the device each kind of operation is planned on, the most costly first.
    ///
    /// Core ML moves what a unit cannot run to another one and says nothing: a quantized model
    /// that lands on the CPU is many times slower, and this is where it shows.
    ///
    /// - Throws: What Core ML throws.
    @available(iOS 17.4, macOS 14.4, *)
    public func plannedOperations() async throws -> [PlannedOperations] {
        try await computePlan(of: compiled, computeUnits: computeUnits)
    }

    private func outputs(_ features: Features) throws -> [String: [Float]] {
        try autoreleasepool {
            let answer = try model.prediction(from: features)
            var outputs: [String: [Float]] = [:]
            for spec in metadata.outputs {
                guard let array = answer.featureValue(for: spec.name)?.multiArrayValue else {
                    throw SegmentationError.artifact("the model has no output '\(spec.name)'")
                }
                outputs[spec.name] = try floats(array, named: spec.name)
            }
            return outputs
        }
    }

    private func feature(_ tensor: Tensor) throws -> MLFeatureValue {
        if tensor.spec.layout == "image" {
            return MLFeatureValue(pixelBuffer: try images.buffer(of: tensor))
        }
        guard tensor.spec.dtype == .float32 else {
            throw SegmentationError.artifact("'\(tensor.spec.name)' is neither image nor float")
        }
        let shape = tensor.spec.shape.map { NSNumber(value: $0) }
        let array = try MLMultiArray(shape: shape, dataType: .float32)
        array.withUnsafeMutableBytes { target, _ in target.copyBytes(from: tensor.bytes) }
        return MLFeatureValue(multiArray: array)
    }
}

/// Inputs by their names. Core ML only reads them.
private final class Features: MLFeatureProvider, @unchecked Sendable {
    let featureNames: Set<String>
    private let values: [String: MLFeatureValue]

    init(_ features: [(String, MLFeatureValue)]) {
        values = Dictionary(features) { first, _ in first }
        featureNames = Set(values.keys)
    }

    func featureValue(for featureName: String) -> MLFeatureValue? { values[featureName] }
}

private func floats(_ array: MLMultiArray, named name: String) throws -> [Float] {
    let (shape, strides) = (array.shape.map(\.intValue), array.strides.map(\.intValue))
    let type = array.dataType
    return try array.withUnsafeBytes { bytes in
        switch type {
        case .float32:
            let numbers = bytes.bindMemory(to: Float.self)
            return contiguous(shape: shape, strides: strides) { numbers[$0] }
        case .float16:
            let numbers = bytes.bindMemory(to: UInt16.self)
            return contiguous(shape: shape, strides: strides) { floatOfHalf(numbers[$0]) }
        default:
            throw SegmentationError.artifact("output '\(name)' is no float")
        }
    }
}

extension CompiledModels {
    /// Compiled models in the app's caches.
    public static let caches = CompiledModels(
        folder: FileManager.default.urls(for: .cachesDirectory, in: .userDomainMask)[0]
            .appendingPathComponent("SqueezeSAM", isDirectory: true),
        compile: { try await MLModel.compileModel(at: $0) })
}

extension Segmenter {
    /// A segmenter of a package's Core ML models, its saliency network included.
    ///
    /// - Parameters:
    ///   - precision: "int8", "fp16"; nil takes the first in the package.
    ///   - computeUnits: Where Core ML may run them.
    ///   - progress: Told when a step begins, from any thread.
    /// - Throws: `SegmentationError`, or what Core ML throws.
    public init(
        coreML package: ModelPackage, precision: String? = nil, computeUnits: MLComputeUnits = .all,
        progress: (@Sendable (CoreMLBackend.LoadingStep) -> Void)? = nil
    ) async throws {
        let file = try package.model(.segmentation, runtime: "coreml", precision: precision)
        let backend = try await CoreMLBackend(file, computeUnits: computeUnits, progress: progress)
        var saliency: CoreMLBackend?
        let same = file.metadata.precision
        let start =
            (try? package.model(.saliency, runtime: "coreml", precision: same))
            ?? (try? package.model(.saliency, runtime: "coreml"))
        if let start {
            saliency = try await CoreMLBackend(
                start, computeUnits: computeUnits, progress: progress)
        }
        try self.init(backend, saliency: saliency)
    }
}
#endif
