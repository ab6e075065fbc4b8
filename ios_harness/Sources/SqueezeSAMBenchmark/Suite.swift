import Foundation
import SqueezeSAMCore

/// All rows of a plan, turn by turn: what slows the device for a while slows all of them.
public struct Suite: Sendable {
    private let folder: PlanFolder
    private let machine: Machine
    private let say: @Sendable (String) async -> Void

    /// - Parameter say: Told a line after every turn, outside what is timed, and waited for.
    public init(
        folder: PlanFolder, machine: Machine, say: @escaping @Sendable (String) async -> Void
    ) {
        self.folder = folder
        self.machine = machine
        self.say = say
    }

    /// Measures; a row that fails is left out with its reason, and the others go on.
    public func run() async -> BenchmarkResult {
        var rows = folder.plan.artifacts.flatMap { artifact in
            artifact.compute.map { Row(artifact, compute: $0) }
        }
        var failures: [NotMeasured] = []
        let total = rows.count * folder.plan.rounds
        var turn = 0
        for _ in 0..<folder.plan.rounds {
            for row in rows.shuffled() {
                turn += 1
                let title = "turn \(turn)/\(total): \(row.artifact.name) \(row.compute)"
                do {
                    await say("\(title) \(try await take(row))")
                } catch {
                    failures.append(failure(row, error))
                    rows.removeAll { $0 === row }
                    await say("\(title): \(error)")
                }
            }
        }
        var measurements: [Measurement] = []
        for row in rows {
            do {
                let sha256 = try artifactDigest(folder.file(row.artifact))
                measurements.append(row.measurement(sha256: sha256))
            } catch {
                failures.append(failure(row, error))
            }
        }
        return result(measurements, failures)
    }

    /// One turn; what it showed, for whoever watches.
    private func take(_ row: Row) async throws -> String {
        let artifact = row.artifact
        if row.source == nil {
            let url = try await machine.make(folder.file(artifact), artifact)
            row.source = (url, try folder.feeds(artifact))
            row.plan(await machine.planned(url, artifact, row.compute))
        }
        guard let source = row.source else { throw SegmentationError.device("nothing was made") }
        let turn = try Turn(
            feeds: source.feeds, warmUp: row.isNew ? folder.plan.warmUp : 0, plan: folder.plan,
            machine: machine
        ) { try machine.open(source.url, artifact, row.compute) }
        // Behind the first turn, which shows what loading takes before the system knows the artifact.
        if row.isNew { try compare(row, source.url, source.feeds) }
        row.add(turn)
        let median = turn.samples.sorted()[turn.samples.count / 2]
        return String(format: "%.2f ms", median) + units(row.planned)
    }

    /// Refuses a row whose outputs are not those of the reference's compute units.
    private func compare(_ row: Row, _ url: URL, _ feeds: [[Tensor]]) throws {
        guard let reference = machine.reference(row.artifact, row.compute), let feed = feeds.first
        else { return }
        let expected = try machine.open(url, row.artifact, reference).run(feed)
        let outputs = try machine.open(url, row.artifact, row.compute).run(feed)
        try requireAgreement(of: outputs, on: row.compute, with: expected, on: reference)
    }

    /// Shares of the estimated cost by unit: ", neuralEngine 97%, cpu 3%".
    private func units(_ planned: [PlannedOperations]?) -> String {
        var shares: [String: Double] = [:]
        for item in planned ?? [] { shares[item.unit, default: 0] += item.cost }
        return shares.sorted { $0.value > $1.value }
            .map { ", \($0.key) \(Int(($0.value * 100).rounded()))%" }.joined()
    }

    private func failure(_ row: Row, _ error: any Error) -> NotMeasured {
        NotMeasured(subject: row.artifact.name, setup: row.compute, reason: "\(error)")
    }

    private func result(
        _ measurements: [Measurement], _ failures: [NotMeasured]
    ) -> BenchmarkResult {
        let plan = folder.plan
        return BenchmarkResult(
            resultVersion: 2,
            created: ISO8601DateFormatter().string(from: Date()),
            tool: "ios_harness 2",
            device: machine.device(plan.deviceName),
            environment: Environment(build: machine.build, versions: machine.versions),
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
        "memory is the footprint that the system counts against an app",
        "inputs were prepared beforehand; reading the outputs as float32 is part of an inference",
    ]
}
