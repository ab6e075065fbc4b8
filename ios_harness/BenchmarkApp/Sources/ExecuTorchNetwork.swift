#if canImport(ExecuTorch)
import ExecuTorch
import Foundation

/// An ExecuTorch program; where it runs was decided when it was exported.
struct ExecuTorchSource: NetworkSource {
    private let path: String
    private let feeds: [[ValueConvertible]]

    init(_ artifact: PlannedArtifact, in folder: URL) throws {
        path = folder.appendingPathComponent(artifact.name).path
        feeds = try artifact.feeds.map { paths in
            try zip(artifact.inputs, paths).map { input, path in
                try tensor(input, readInput(path, as: input, in: folder))
            }
        }
    }

    func load(compute: String) throws -> Network {
        let module = Module(filePath: path)
        try module.load("forward")
        return ExecuTorchNetwork(module: module, feeds: feeds)
    }
}

private struct ExecuTorchNetwork: Network {
    let module: Module
    let feeds: [[ValueConvertible]]

    func run(photo: Int) throws {
        let outputs: [Value] = try module.forward(feeds[photo % feeds.count])
        guard !outputs.isEmpty else { throw Failure("the program returned nothing") }
    }
}

private func tensor(_ input: PlannedInput, _ data: Data) -> ValueConvertible {
    if input.dtype == "uint8" {
        return Tensor<UInt8>([UInt8](data), shape: input.shape)
    }
    let values = data.withUnsafeBytes { Array($0.bindMemory(to: Float.self)) }
    return Tensor<Float>(values, shape: input.shape)
}
#endif
