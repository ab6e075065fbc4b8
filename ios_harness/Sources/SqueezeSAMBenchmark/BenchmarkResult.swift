import Foundation
import SqueezeSAMCore

/// The result file. Names, in snake case, are those of `sqsam_deploy/benchmark/result.py`; a test
/// there compares them. Times are milliseconds, sizes bytes.
public struct BenchmarkResult: Encodable, Sendable {
    public let resultVersion: Int
    public let created: String
    public let tool: String
    public let device: Device
    public let environment: Environment
    public let method: Method
    public let measurements: [Measurement]
    public let notMeasured: [NotMeasured]
}

public struct Device: Encodable, Sendable {
    public let kind: String
    public let name: String
    public let model: String
    public let system: String
    public let cores: Int
    public let memory: Int

    public init(kind: String, name: String, model: String, system: String, cores: Int, memory: Int)
    {
        self.kind = kind
        self.name = name
        self.model = model
        self.system = system
        self.cores = cores
        self.memory = memory
    }
}

public struct Environment: Encodable, Sendable {
    public let build: String
    public let versions: [String: String]
}

public struct Method: Encodable, Sendable {
    public let rounds: Int
    public let processes: Int
    public let turnMs: Double
    public let discarded: Int
    public let images: Int
    public let imageSizes: [[Int]]
    public let interleaved: Bool
    public let notes: [String]
}

public struct Measurement: Encodable, Sendable {
    public let subject: Subject
    public let setup: Setup
    public let load: [Double]
    public let first: [Double]
    public let warmUp: [Double]
    public let stages: [String: Timing]
    public let memory: [Memory]
    public let thermal: [String]
    public let lowPower: Bool
    /// Where Core ML plans each kind of operation; nil where there is no such plan.
    public let planned: [PlannedOperations]?
}

public struct Subject: Encodable, Sendable {
    public let name: String
    public let role: String
    public let runtime: String
    public let precision: String
    public let preset: String
    public let sha256: String
    public let bytes: Int
}

public struct Setup: Encodable, Sendable {
    public let compute: String
}

public struct Timing: Encodable, Sendable {
    public let rounds: [[Double]]
}

public struct Memory: Encodable, Sendable {
    public let before: Int
    public let loaded: Int
    public let peak: Int
}

public struct NotMeasured: Encodable, Sendable {
    public let subject: String
    public let setup: String
    public let reason: String
}

extension BenchmarkResult {
    /// Writes the file whole, or not at all.
    public func write(to url: URL) throws {
        let encoder = JSONEncoder()
        encoder.keyEncodingStrategy = .convertToSnakeCase
        encoder.outputFormatting = .sortedKeys
        try encoder.encode(self).write(to: url, options: .atomic)
    }
}
