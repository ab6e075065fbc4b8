import Foundation

/// The result file. Names, in snake case, are those of `sqsam_deploy/benchmark/result.py`; a test
/// there compares them. Times are milliseconds, sizes bytes.
struct BenchmarkResult: Encodable {
    let resultVersion: Int
    let created: String
    let tool: String
    let device: Device
    let environment: Environment
    let method: Method
    let measurements: [Measurement]
    let notMeasured: [NotMeasured]
}

struct Device: Encodable {
    let kind: String
    let name: String
    let model: String
    let system: String
    let cores: Int
    let memory: Int
}

struct Environment: Encodable {
    let build: String
    let versions: [String: String]
}

struct Method: Encodable {
    let rounds: Int
    let processes: Int
    let turnMs: Double
    let discarded: Int
    let images: Int
    let imageSizes: [[Int]]
    let interleaved: Bool
    let notes: [String]
}

struct Measurement: Encodable {
    let subject: Subject
    let setup: Setup
    let load: [Double]
    let first: [Double]
    let warmUp: [Double]
    let stages: [String: Timing]
    let memory: [Memory]
    let thermal: [String]
    let lowPower: Bool
}

struct Subject: Encodable {
    let name: String
    let role: String
    let runtime: String
    let precision: String
    let preset: String
    let sha256: String
    let bytes: Int
}

struct Setup: Encodable {
    let compute: String
}

struct Timing: Encodable {
    let rounds: [[Double]]
}

struct Memory: Encodable {
    let before: Int
    let loaded: Int
    let peak: Int
}

struct NotMeasured: Encodable {
    let subject: String
    let setup: String
    let reason: String
}

extension BenchmarkResult {
    /// Writes the file whole, or not at all.
    func write(to url: URL) throws {
        let encoder = JSONEncoder()
        encoder.keyEncodingStrategy = .convertToSnakeCase
        encoder.outputFormatting = .sortedKeys
        try encoder.encode(self).write(to: url, options: .atomic)
    }
}
