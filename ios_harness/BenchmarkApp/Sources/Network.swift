import Foundation

/// A loaded artifact with its inputs.
protocol Network {
    /// One inference on the photo of this number; they are taken in turn.
    func run(photo: Int) throws
}

/// An artifact whose inputs are in memory, ready to be loaded.
protocol NetworkSource {
    /// What is timed as loading: the runtime opens the artifact.
    func load(compute: String) throws -> Network
}

/// What runs an artifact, where this app holds that runtime.
func networkSource(_ artifact: PlannedArtifact, in folder: URL) async throws -> NetworkSource {
    switch artifact.runtime {
    case "coreml":
        return try await CoreMLSource(artifact, in: folder)
    case "executorch", "executorch-coreml":
        #if canImport(ExecuTorch)
        return try ExecuTorchSource(artifact, in: folder)
        #else
        throw Failure("the app was built without ExecuTorch: see ios_harness/README.md")
        #endif
    default:
        throw Failure("the app does not run \(artifact.runtime)")
    }
}
