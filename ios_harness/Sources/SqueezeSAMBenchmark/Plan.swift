import Foundation
import SqueezeSAMCore

/// `plan.json`, as `sqsam_deploy/benchmark/phones/plan.py` writes it.
public struct Plan: Decodable, Sendable {
    public let planVersion: Int
    public let deviceName: String?
    public let rounds: Int
    public let turnMs: Double
    public let discarded: Int
    public let warmUp: Int
    public let imageSizes: [[Int]]
    public let artifacts: [PlannedArtifact]
}

public struct PlannedArtifact: Decodable, Sendable {
    public let name: String
    public let runtime: String
    public let precision: String
    public let preset: String
    public let bytes: Int
    public let compute: [String]
    public let inputs: [PlannedInput]
    public let feeds: [[String]]
}

public struct PlannedInput: Decodable, Sendable {
    public let name: String
    public let dtype: String
    public let shape: [Int]
    public let layout: String
}

/// The folder that holds a plan, the artifacts and their inputs.
public struct PlanFolder: Sendable {
    public let url: URL
    public let plan: Plan

    /// The first one below a folder: how deep a copied folder lands is up to what copied it.
    ///
    /// - Throws: `SegmentationError` of kind usage: there is none, or a newer one.
    public static func find(in folder: URL) throws -> PlanFolder {
        let files = FileManager.default.enumerator(at: folder, includingPropertiesForKeys: nil)
        while let file = files?.nextObject() as? URL {
            guard file.lastPathComponent == "plan.json" else { continue }
            return try PlanFolder(file)
        }
        throw SegmentationError.usage(
            "there is no plan.json in \(folder.lastPathComponent): start this with sqsam-bench ios")
    }

    private init(_ file: URL) throws {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        plan = try decoder.decode(Plan.self, from: Data(contentsOf: file))
        guard plan.planVersion == 1 else {
            throw SegmentationError.usage("\(file.path) is of a newer sqsam-bench")
        }
        url = file.deletingLastPathComponent()
    }

    public func file(_ artifact: PlannedArtifact) -> URL {
        url.appendingPathComponent(artifact.name)
    }

    /// The inputs of each photo, checked against the tensors they are.
    func feeds(_ artifact: PlannedArtifact) throws -> [[Tensor]] {
        try artifact.feeds.map { paths in
            guard paths.count == artifact.inputs.count else {
                throw SegmentationError.usage("\(artifact.name) has inputs without a file")
            }
            return try zip(artifact.inputs, paths).map { input, path in
                guard let dtype = ElementType(rawValue: input.dtype) else {
                    throw SegmentationError.usage("\(input.name) is of type \(input.dtype)")
                }
                let spec = TensorSpec(
                    name: input.name, dtype: dtype, shape: input.shape, layout: input.layout)
                let content = try Data(contentsOf: url.appendingPathComponent(path))
                return try Tensor(spec, bytes: [UInt8](content))
            }
        }
    }
}
