import Foundation

/// A folder with `manifest.json` and artifacts, as `sqsam-export` and `sqsam-pull` write it.
public struct ModelPackage: Sendable {
    /// Name of the release.
    public let name: String
    public let models: [ModelFile]

    /// Reads the manifest of a folder.
    ///
    /// - Throws: `SegmentationError` of kind artifact: there is none, it is damaged, or a newer
    ///   version of the tools wrote it.
    public init(folder: URL) throws {
        let manifest: Manifest
        do {
            let content = try Data(contentsOf: folder.appendingPathComponent("manifest.json"))
            manifest = try JSONDecoder().decode(Manifest.self, from: content)
        } catch {
            throw SegmentationError.artifact(
                "\(folder.path) has no manifest.json that can be read: \(error)")
        }
        guard manifest.manifest_version == 1 else {
            throw SegmentationError.artifact("\(folder.path) needs a newer version of this library")
        }
        name = manifest.name
        models = try manifest.artifacts.map { try $0.model(in: folder) }
    }

    /// The one model with these properties; nil leaves a property open, and of several models
    /// that fit the first one in the manifest is taken.
    ///
    /// - Throws: `SegmentationError` of kind usage: there is none.
    public func model(
        _ task: NetworkTask = .segmentation, runtime: String? = nil, precision: String? = nil
    ) throws -> ModelFile {
        let fitting = models.filter { model in
            model.metadata.task == task
                && (runtime == nil || model.metadata.runtime == runtime)
                && (precision == nil || model.metadata.precision == precision)
        }
        guard let first = fitting.first else {
            let wanted = [task.rawValue, runtime, precision].compactMap { $0 }
            let there = models.map(\.url.lastPathComponent).joined(separator: ", ")
            throw SegmentationError.usage(
                "\(name) has no model for \(wanted.joined(separator: ", ")): it has \(there)")
        }
        return first
    }
}

/// One artifact of a package.
public struct ModelFile: Sendable, Hashable {
    /// The file, or the `.mlpackage` folder.
    public let url: URL
    public let metadata: ArtifactMetadata
    /// Digest of the file; of a folder, that of the listing of its files.
    public let sha256: String
    public let bytes: Int
    /// Lowest version of the runtime, or of iOS, that reads it.
    public let minimumRuntime: String

    public init(
        url: URL, metadata: ArtifactMetadata, sha256: String, bytes: Int, minimumRuntime: String
    ) {
        self.url = url
        self.metadata = metadata
        self.sha256 = sha256
        self.bytes = bytes
        self.minimumRuntime = minimumRuntime
    }
}

private struct Manifest: Decodable {
    let manifest_version: Int
    let name: String
    let artifacts: [Artifact]

    struct Artifact: Decodable {
        let path: String
        let files: [File]
        let metadata: ArtifactMetadata
        let minimum_runtime: String

        func model(in folder: URL) throws -> ModelFile {
            try metadata.check(source: path)
            return ModelFile(
                url: folder.appendingPathComponent(path),
                metadata: metadata,
                sha256: digest,
                bytes: files.reduce(0) { $0 + $1.bytes },
                minimumRuntime: minimum_runtime)
        }

        private var digest: String {
            if files.count == 1 && files[0].path == path { return files[0].sha256 }
            return listingDigest(
                files.map { (String($0.path.dropFirst(path.count + 1)), $0.sha256) })
        }
    }

    struct File: Decodable {
        let path: String
        let bytes: Int
        let sha256: String
    }
}
