import Foundation
import SqueezeSAMBenchmark
import SqueezeSAMCore
import XCTest

/// Takes a millisecond for every inference, and refuses the artifacts that it is told to.
private struct Pretending: Backend {
    let metadata: ArtifactMetadata
    let inputs: [PlannedInput]

    func run(_ inputs: [Tensor]) throws -> [String: [Float]] {
        guard inputs.map(\.spec.shape) == self.inputs.map(\.shape) else {
            throw SegmentationError.usage("other inputs came than were planned")
        }
        Thread.sleep(forTimeInterval: Double.random(in: 0.0009...0.0012))
        return [:]
    }
}

/// Gives the same outputs at every inference.
private struct Answering: Backend {
    let metadata: ArtifactMetadata
    let outputs: [String: [Float]]

    func run(_ inputs: [Tensor]) throws -> [String: [Float]] { outputs }
}

private let metadata = """
    {"format_version": 1, "task": "segmentation", "preset": "test", "runtime": "test",
     "precision": "int8", "weights_sha256": "", "image_size": 4, "mask_size": 4,
     "color_order": "RGB", "resize": "stretch-bilinear-antialias",
     "prompts": {"map_order": "clicks-box", "click_radius": 3, "marked_value": 255,
                 "carve_background": true, "max_clicks": 6},
     "mask_threshold": 0, "inputs": [], "outputs": []}
    """

/// A phone in all it says of itself; its networks are not.
private func pretendingMachine(failing: Set<String>) throws -> Machine {
    let described = try ArtifactMetadata(json: Data(metadata.utf8), source: "a test")
    return Machine(
        thermalState: { "nominal" }, savesPower: { false }, footprint: { 1 << 20 },
        build: "release", versions: ["ios_harness": "2"],
        device: { name in
            Device(
                kind: "iphone", name: name ?? "iPhone99,1", model: "iPhone99,1",
                system: "iOS 99.0.0",
                cores: 6, memory: 8 << 30)
        },
        open: { _, artifact, _ in
            if failing.contains(artifact.name) {
                throw SegmentationError.device("it is told to fail")
            }
            return Pretending(metadata: described, inputs: artifact.inputs)
        },
        planned: { _, artifact, compute in
            guard artifact.runtime == "coreml" else { return nil }
            let unit = compute == "cpuOnly" ? "cpu" : "neuralEngine"
            return [PlannedOperations(operation: "ios17.conv", unit: unit, count: 30, cost: 1)]
        })
}

final class SuiteTests: XCTestCase {
    /// A plan that Python wrote, in the folder that SQSAM_PLAN names; the result goes to the file
    /// that SQSAM_RESULT names, for Python to take in.
    func testPlanThatPythonWroteIsMeasured() async throws {
        let variables = ProcessInfo.processInfo.environment
        guard let folder = variables["SQSAM_PLAN"], let result = variables["SQSAM_RESULT"] else {
            throw XCTSkip("SQSAM_PLAN names no folder: tests/ios_harness gives one")
        }
        let plan = try PlanFolder.find(in: URL(fileURLWithPath: folder))
        let failing = Set(variables["SQSAM_FAILING"]?.split(separator: ",").map(String.init) ?? [])
        let lines = Lines()
        let suite = Suite(folder: plan, machine: try pretendingMachine(failing: failing)) {
            await lines.add($0)
        }
        let measured = await suite.run()
        try measured.write(to: URL(fileURLWithPath: result))
        let rows = plan.plan.artifacts.flatMap(\.compute).count
        XCTAssertEqual(measured.measurements.count + measured.notMeasured.count, rows)
        XCTAssertEqual(
            Set(measured.notMeasured.map(\.subject)),
            failing.intersection(plan.plan.artifacts.map(\.name)))
        let said = await lines.all
        XCTAssertGreaterThanOrEqual(said.count, measured.measurements.count * plan.plan.rounds)
        XCTAssertTrue(said.allSatisfy { $0.hasPrefix("turn ") })
    }

    /// A Core ML package that is right on one kind of compute units and wrong on the other.
    func testComputeUnitsThatAreWrongGetNoTime() async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent(
            UUID().uuidString)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let plan = """
            {"plan_version": 1, "rounds": 2, "turn_ms": 1, "discarded": 1, "warm_up": 1,
             "image_sizes": [[4, 4]],
             "artifacts": [{"name": "a.onnx", "runtime": "coreml", "precision": "int8",
                            "preset": "test", "bytes": 1, "compute": ["all", "cpuOnly"],
                            "inputs": [], "feeds": [[]]}]}
            """
        try Data(plan.utf8).write(to: folder.appendingPathComponent("plan.json"))
        try Data("x".utf8).write(to: folder.appendingPathComponent("a.onnx"))
        let phone = try pretendingMachine(failing: [])
        let described = try ArtifactMetadata(json: Data(metadata.utf8), source: "a test")
        let right = (0..<256).map { Float($0 % 16) - 8 }
        for (wrong, isMeasured) in [
            (right.map { $0 + 0.2 }, true), (right.map { _ in Float(-0.5) }, false),
            (right.map { $0 / 0 }, false),
        ] {
            let machine = Machine(
                thermalState: phone.thermalState, savesPower: phone.savesPower,
                footprint: phone.footprint, build: phone.build, versions: phone.versions,
                device: phone.device,
                open: { _, _, compute in
                    Answering(
                        metadata: described,
                        outputs: ["low_res_masks": compute == "cpuOnly" ? right : wrong])
                },
                reference: { _, compute in compute == "cpuOnly" ? nil : "cpuOnly" })
            let suite = Suite(folder: try PlanFolder.find(in: folder), machine: machine) { _ in }
            let result = await suite.run()
            XCTAssertEqual(
                Set(result.measurements.map(\.setup.compute)),
                isMeasured ? ["all", "cpuOnly"] : ["cpuOnly"])
            XCTAssertEqual(result.notMeasured.map(\.setup), isMeasured ? [] : ["all"])
        }
    }

    func testFolderWithoutAPlanSaysSo() throws {
        let empty = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        try FileManager.default.createDirectory(at: empty, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: empty) }
        XCTAssertThrowsError(try PlanFolder.find(in: empty)) { error in
            XCTAssertTrue("\(error)".contains("plan.json"))
        }
    }
}

private actor Lines {
    private(set) var all: [String] = []

    func add(_ line: String) { all.append(line) }
}
