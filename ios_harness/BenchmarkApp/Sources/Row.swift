/// One artifact on one kind of compute units, and what its turns have shown so far.
final class Row {
    let artifact: PlannedArtifact
    let compute: String
    private let sha256: String
    private var turns: [Turn] = []

    init(_ artifact: PlannedArtifact, compute: String, sha256: String) {
        self.artifact = artifact
        self.compute = compute
        self.sha256 = sha256
    }

    var isNew: Bool { turns.isEmpty }

    func add(_ turn: Turn) {
        turns.append(turn)
    }

    func measurement() -> Measurement {
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
            lowPower: turns.contains(where: \.savedPower)
        )
    }
}
