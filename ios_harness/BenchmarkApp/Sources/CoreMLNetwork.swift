import CoreML

/// A Core ML package, compiled once in the life of the app.
struct CoreMLSource: NetworkSource {
    private let compiled: URL
    private let feeds: [MLFeatureProvider]

    init(_ artifact: PlannedArtifact, in folder: URL) async throws {
        let package = folder.appendingPathComponent(artifact.name)
        compiled = try await CompiledModels.shared.url(of: package)
        feeds = try artifact.feeds.map { try features(artifact.inputs, $0, in: folder) }
    }

    func load(compute: String) throws -> Network {
        let configuration = MLModelConfiguration()
        configuration.computeUnits = try computeUnits(compute)
        return CoreMLNetwork(
            model: try MLModel(contentsOf: compiled, configuration: configuration), feeds: feeds)
    }
}

private struct CoreMLNetwork: Network {
    let model: MLModel
    let feeds: [MLFeatureProvider]

    func run(photo: Int) throws {
        _ = try model.prediction(from: feeds[photo % feeds.count])
    }
}

/// Packages are compiled on the phone, as an app that downloads them does it.
private actor CompiledModels {
    static let shared = CompiledModels()
    private var urls: [URL: URL] = [:]

    func url(of package: URL) async throws -> URL {
        if package.pathExtension == "mlmodelc" { return package }
        if let known = urls[package] { return known }
        let compiled = try await MLModel.compileModel(at: package)
        urls[package] = compiled
        return compiled
    }
}

private func computeUnits(_ name: String) throws -> MLComputeUnits {
    switch name {
    case "all": return .all
    case "cpuAndNeuralEngine": return .cpuAndNeuralEngine
    case "cpuOnly": return .cpuOnly
    default: throw Failure("Core ML has no compute units \(name)")
    }
}

private func features(
    _ inputs: [PlannedInput], _ paths: [String], in folder: URL
) throws -> MLFeatureProvider {
    var values: [String: MLFeatureValue] = [:]
    for (input, path) in zip(inputs, paths) {
        values[input.name] = try feature(input, readInput(path, as: input, in: folder))
    }
    return try MLDictionaryFeatureProvider(dictionary: values)
}

private func feature(_ input: PlannedInput, _ data: Data) throws -> MLFeatureValue {
    if input.layout == "image" {
        let (height, width) = (input.shape[1], input.shape[2])
        return MLFeatureValue(pixelBuffer: try pixelBuffer(rgb: data, width: width, height: height))
    }
    guard input.dtype == "float32" else {
        throw Failure("\(input.name) is neither image nor float")
    }
    let shape = input.shape.map { NSNumber(value: $0) }
    let array = try MLMultiArray(shape: shape, dataType: .float32)
    array.withUnsafeMutableBytes { target, _ in
        data.withUnsafeBytes { target.copyMemory(from: $0) }
    }
    return MLFeatureValue(multiArray: array)
}
