#if canImport(ExecuTorch)
import ExecuTorch
import Foundation
import SqueezeSAMCore

/// An ExecuTorch artifact; where it runs was decided when it was exported.
public final class ExecuTorchBackend: Backend, @unchecked Sendable {
    public let metadata: ArtifactMetadata
    private let module: Module

    /// Opens a `.pte` file and loads its network.
    ///
    /// - Throws: `SegmentationError`: it does not load, or carries no metadata of this project.
    public init(program: URL) throws {
        module = Module(filePath: program.path)
        do {
            try module.load("forward")
        } catch {
            throw SegmentationError.artifact(
                "\(program.path) does not load: \(error). If the file is there, the app was linked "
                    + "without -all_load in Other Linker Flags, so that ExecuTorch's back ends "
                    + "did not register")
        }
        metadata = try storedMetadata(module, program)
    }

    /// Opens a model of a package.
    ///
    /// - Throws: As the other initializer.
    public convenience init(_ file: ModelFile) throws {
        try self.init(program: file.url)
    }

    public func run(_ inputs: [SqueezeSAMCore.Tensor]) throws -> [String: [Float]] {
        let inference = try prepare(inputs)
        return try inference()
    }

    public func prepare(
        _ inputs: [SqueezeSAMCore.Tensor]
    ) throws -> @Sendable () throws -> [String: [Float]] {
        let values = Inputs(inputs)
        return { try self.outputs(values) }
    }

    private func outputs(_ inputs: Inputs) throws -> [String: [Float]] {
        let values: [Value] = try module.forward(inputs.tensors)
        guard values.count == metadata.outputs.count else {
            throw SegmentationError.artifact(
                "the program returns \(values.count) values, \(metadata.outputs.count) are declared"
            )
        }
        var outputs: [String: [Float]] = [:]
        for (spec, value) in zip(metadata.outputs, values) {
            guard let tensor: ExecuTorch.Tensor<Float> = value.tensor() else {
                throw SegmentationError.artifact("output '\(spec.name)' is no float tensor")
            }
            outputs[spec.name] = tensor.scalars()
        }
        return outputs
    }
}

/// Input tensors over bytes that live as long as they do. ExecuTorch only reads them.
private final class Inputs: @unchecked Sendable {
    let tensors: [ValueConvertible]

    init(_ inputs: [SqueezeSAMCore.Tensor]) {
        tensors = inputs.map { input in
            AnyTensor(
                data: Data(input.bytes), shape: input.spec.shape,
                dataType: dataType(input.spec.dtype))
        }
    }
}

private func dataType(_ type: ElementType) -> DataType {
    switch type {
    case .float32: return .float
    case .uint8: return .byte
    case .int8: return .char
    }
}

/// The JSON that a constant method of the program returns, as bytes.
private func storedMetadata(_ module: Module, _ program: URL) throws -> ArtifactMetadata {
    let text: String
    do {
        let nothing: [ValueConvertible] = []
        let values: [Value] = try module.execute(ArtifactMetadata.key, nothing)
        guard let value = values.first, let stored = value.string else {
            throw SegmentationError.artifact("nothing is stored")
        }
        text = stored
    } catch {
        throw SegmentationError.artifact(
            "\(program.path) carries no metadata of this project: \(error)")
    }
    return try ArtifactMetadata(json: Data(text.utf8), source: program.path)
}

extension Segmenter {
    /// A segmenter of a package's ExecuTorch models, its saliency network included.
    ///
    /// - Parameters:
    ///   - runtime: "executorch", or "executorch-coreml" for Core ML inside ExecuTorch.
    ///   - precision: "int8", "fp16"; nil takes the first in the package.
    /// - Throws: `SegmentationError`.
    public init(
        execuTorch package: ModelPackage, runtime: String = "executorch", precision: String? = nil
    ) throws {
        let file = try package.model(.segmentation, runtime: runtime, precision: precision)
        let same = file.metadata.precision
        let start =
            (try? package.model(.saliency, runtime: runtime, precision: same))
            ?? (try? package.model(.saliency, runtime: runtime))
        try self.init(
            ExecuTorchBackend(file), saliency: start.map { try ExecuTorchBackend($0) })
    }
}
#endif
