import Foundation
import SqueezeSAMCore

/// The device that is measured, and what can run artifacts on it.
public struct Machine: Sendable {
    /// Opens an artifact on compute units of the plan: what is timed as loading.
    public typealias Open = @Sendable (URL, PlannedArtifact, _ compute: String) throws ->
        any Backend

    /// "nominal", "fair", "serious" or "critical".
    public let thermalState: @Sendable () -> String
    public let savesPower: @Sendable () -> Bool
    /// Memory that the system counts against this process, in bytes.
    public let footprint: @Sendable () -> Int
    /// "release" or "debug".
    public let build: String
    public let versions: [String: String]
    /// The device under the name that its maker gives it, or its model's.
    public let device: @Sendable (_ name: String?) -> Device
    /// What has to be done once before an artifact can be opened: compiling. Returns what to open.
    public let make: @Sendable (URL, PlannedArtifact) async throws -> URL
    public let open: Open
    /// Compute units whose outputs an artifact must give on others too; nil where there are none.
    public let reference: @Sendable (PlannedArtifact, _ compute: String) -> String?
    /// Where the operations of an artifact are planned; nil where nobody says.
    public let planned:
        @Sendable (URL, PlannedArtifact, _ compute: String) async -> [PlannedOperations]?

    public init(
        thermalState: @escaping @Sendable () -> String, savesPower: @escaping @Sendable () -> Bool,
        footprint: @escaping @Sendable () -> Int, build: String, versions: [String: String],
        device: @escaping @Sendable (String?) -> Device,
        make: @escaping @Sendable (URL, PlannedArtifact) async throws -> URL = { url, _ in url },
        open: @escaping Open,
        reference: @escaping @Sendable (PlannedArtifact, String) -> String? = { _, _ in nil },
        planned: @escaping @Sendable (URL, PlannedArtifact, String) async -> [PlannedOperations]? =
            {
                _, _, _ in nil
            }
    ) {
        self.thermalState = thermalState
        self.savesPower = savesPower
        self.footprint = footprint
        self.build = build
        self.versions = versions
        self.device = device
        self.make = make
        self.open = open
        self.reference = reference
        self.planned = planned
    }
}
