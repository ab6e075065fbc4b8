import Foundation

/// All rows, turn by turn: what slows the phone for a while slows all of them.
struct Suite: Sendable {
    private let folder: PlanFolder
    private let say: @Sendable (String) -> Void

    init(folder: PlanFolder, say: @escaping @Sendable (String) -> Void) {
        self.folder = folder
        self.say = say
    }

    /// Measures and writes the result; returns where.
    func run() async throws -> URL {
        let target = URL.documentsDirectory.appendingPathComponent("sqsam-result.json")
        try? FileManager.default.removeItem(at: target)
        var rows = try makeRows()
        var failures: [NotMeasured] = []
        let total = rows.count * folder.plan.rounds
        var turn = 0
        for _ in 0..<folder.plan.rounds {
            for row in rows.shuffled() {
                turn += 1
                do {
                    let time = try await take(row)
                    say("turn \(turn)/\(total): \(row.artifact.name) \(row.compute) \(time) ms")
                } catch {
                    failures.append(failure(row, error))
                    rows.removeAll { $0 === row }
                    say("turn \(turn)/\(total): \(row.artifact.name) \(row.compute): \(error)")
                }
            }
        }
        try result(rows.map { $0.measurement() }, failures).write(to: target)
        return target
    }

    private func makeRows() throws -> [Row] {
        try folder.plan.artifacts.flatMap { artifact in
            let sha256 = try artifactDigest(folder.url.appendingPathComponent(artifact.name))
            return artifact.compute.map { Row(artifact, compute: $0, sha256: sha256) }
        }
    }

    /// One turn; its median, for whoever watches.
    private func take(_ row: Row) async throws -> String {
        let source = try await networkSource(row.artifact, in: folder.url)
        let warmUp = row.isNew ? folder.plan.warmUp : 0
        let turn = try takeTurn(source, compute: row.compute, warmUp: warmUp, plan: folder.plan)
        row.add(turn)
        return String(format: "%.2f", turn.samples.sorted()[turn.samples.count / 2])
    }

    private func failure(_ row: Row, _ error: Error) -> NotMeasured {
        NotMeasured(subject: row.artifact.name, setup: row.compute, reason: "\(error)")
    }

    private func result(
        _ measurements: [Measurement], _ failures: [NotMeasured]
    ) -> BenchmarkResult {
        let plan = folder.plan
        return BenchmarkResult(
            resultVersion: 1,
            created: ISO8601DateFormatter().string(from: Date()),
            tool: "ios_harness 1",
            device: Phone.device(named: plan.deviceName),
            environment: Environment(build: Phone.build, versions: ["ios_harness": "1"]),
            method: Method(
                rounds: plan.rounds,
                processes: 1,
                turnMs: plan.turnMs,
                discarded: plan.discarded,
                images: plan.imageSizes.count,
                imageSizes: plan.imageSizes,
                interleaved: true,
                notes: Suite.notes
            ),
            measurements: measurements,
            notMeasured: failures
        )
    }

    private static let notes = [
        "all rows ran in one process; every turn loads its artifact anew and lets it go",
        "load times are of artifacts that the system has specialized for the device before, but "
            + "for the first one of each row",
        "memory is the footprint that iOS counts against an app",
        "inputs were prepared beforehand: pre- and post-processing are not part of any row",
    ]
}
