import Foundation
import SqueezeSAMCore

/// One artifact on one kind of compute units, and what its turns have shown so far.
final class Row {
    let artifact: PlannedArtifact
    let compute: String
    /// What is opened, and its inputs: made in the first turn.
    var source: (url: URL, feeds: [[Tensor]])?
    private(set) var planned: [PlannedOperations]?
    private var turns: [Turn] = []

    init(_ artifact: PlannedArtifact, compute: String) {
        self.artifact = artifact
        self.compute = compute
    }

    var isNew: Bool { turns.isEmpty }

    func add(_ turn: Turn) {
        turns.append(turn)
    }

    func plan(_ planned: [PlannedOperations]?) {
        self.planned = planned
    }

    func measurement(sha256: String) -> Measurement {
        Measurement(
            subject: Subject(
                name: artifact.name,
                role: "artifact",
                runtime: artifact.runtime,
                precision: artifact.precision,
                preset: artifact.preset,
                sha256: sha256,
                bytes: artifact.bytes
            ),
            setup: Setup(compute: compute),
            load: turns.map(\.load),
            first: turns.map(\.first),
            warmUp: turns.flatMap(\.warmUp),
            stages: ["inference": Timing(rounds: turns.map(\.samples))],
            memory: turns.map(\.memory),
            thermal: turns.flatMap(\.thermal),
            lowPower: turns.contains(where: \.savedPower),
            planned: planned
        )
    }
}
