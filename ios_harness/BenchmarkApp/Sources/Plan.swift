import Foundation

/// `plan.json`, as `sqsam_deploy/benchmark/ios/plan.py` writes it.
struct Plan: Decodable {
    let planVersion: Int
    let deviceName: String?
    let rounds: Int
    let turnMs: Double
    let discarded: Int
    let warmUp: Int
    let imageSizes: [[Int]]
    let artifacts: [PlannedArtifact]
}

struct PlannedArtifact: Decodable {
    let name: String
    let runtime: String
    let precision: String
    let preset: String
    let bytes: Int
    let compute: [String]
    let inputs: [PlannedInput]
    let feeds: [[String]]
}

struct PlannedInput: Decodable {
    let name: String
    let dtype: String
    let shape: [Int]
    let layout: String
}

/// The folder that holds a plan, the artifacts and their inputs.
struct PlanFolder {
    let url: URL
    let plan: Plan

    /// The first one below Documents: how deep a copied folder lands is up to what copied it.
    static func find() throws -> PlanFolder {
        let documents = URL.documentsDirectory
        let files = FileManager.default.enumerator(at: documents, includingPropertiesForKeys: nil)
        while let file = files?.nextObject() as? URL {
            guard file.lastPathComponent == "plan.json" else { continue }
            let decoder = JSONDecoder()
            decoder.keyDecodingStrategy = .convertFromSnakeCase
            let plan = try decoder.decode(Plan.self, from: Data(contentsOf: file))
            guard plan.planVersion == 1 else { throw Failure("the plan is of a newer sqsam-bench") }
            return PlanFolder(url: file.deletingLastPathComponent(), plan: plan)
        }
        throw Failure("there is no plan.json in Documents: start this app with sqsam-bench ios")
    }
}
