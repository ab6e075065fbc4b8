#if canImport(CoreML)
import CoreML
import Foundation
import SqueezeSAMCore

/// The plan of a compiled model, by kind of operation and unit, the most costly first.
@available(iOS 17.4, macOS 14.4, *)
func computePlan(
    of compiled: URL, computeUnits: MLComputeUnits
) async throws -> [PlannedOperations] {
    let configuration = MLModelConfiguration()
    configuration.computeUnits = computeUnits
    let plan = try await MLComputePlan.load(contentsOf: compiled, configuration: configuration)
    guard case .program(let program) = plan.modelStructure else {
        throw SegmentationError.artifact("\(compiled.path) is no ML program")
    }
    var found: [Kind: (count: Int, cost: Double)] = [:]
    for function in program.functions.values {
        collect(function.block, plan, &found)
    }
    return found.map { kind, sum in
        PlannedOperations(
            operation: kind.operation, unit: kind.unit, count: sum.count, cost: sum.cost)
    }.sorted { ($0.cost, $1.operation, $1.unit) > ($1.cost, $0.operation, $0.unit) }
}

private struct Kind: Hashable {
    let operation: String
    let unit: String
}

/// Adds the operations of a block and of those inside it; constants have no device and are left.
@available(iOS 17.4, macOS 14.4, *)
private func collect(
    _ block: MLModelStructure.Program.Block, _ plan: MLComputePlan,
    _ found: inout [Kind: (count: Int, cost: Double)]
) {
    for operation in block.operations {
        if let usage = plan.deviceUsage(for: operation) {
            let kind = Kind(operation: operation.operatorName, unit: unit(usage.preferred))
            let cost = plan.estimatedCost(of: operation)?.weight ?? 0
            let sum = found[kind] ?? (0, 0)
            found[kind] = (sum.count + 1, sum.cost + cost)
        }
        for inner in operation.blocks { collect(inner, plan, &found) }
    }
}

@available(iOS 17.4, macOS 14.4, *)
private func unit(_ device: MLComputeDevice) -> String {
    switch device {
    case .cpu: return "cpu"
    case .gpu: return "gpu"
    case .neuralEngine: return "neuralEngine"
    @unknown default: return "unknown"
    }
}
#endif
