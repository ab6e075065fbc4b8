import Foundation
import SqueezeSAMCore

/// One turn of one row: load, first inference, warm-up, and samples of the steady state.
struct Turn {
    let load: Double
    let first: Double
    let warmUp: [Double]
    let samples: [Double]
    let memory: Memory
    let thermal: [String]
    let savedPower: Bool

    /// Takes a turn: the artifact is loaded anew and let go at the end, so that no row holds memory
    /// while another is measured.
    init(
        feeds: [[Tensor]], warmUp: Int, plan: Plan, machine: Machine,
        open: () throws -> any Backend
    ) throws {
        let before = machine.footprint()
        let thermalBefore = machine.thermalState()
        var opened: (any Backend)?
        load = try milliseconds { opened = try open() }
        guard let backend = opened else { throw SegmentationError.device("nothing was loaded") }
        let inferences = try feeds.map { try backend.prepare($0) }
        let afterLoading = machine.footprint()
        var peak = afterLoading
        func inference(_ photo: Int) throws -> Double {
            let time = try milliseconds { _ = try inferences[photo % inferences.count]() }
            peak = max(peak, machine.footprint())
            return time
        }
        first = try inference(0)
        self.warmUp = try (0..<warmUp).map(inference)
        let discarded = try (0..<plan.discarded).map(inference)
        let count = turnLength(inference: discarded.last ?? first, turn: plan.turnMs)
        samples = try (0..<count).map(inference)
        memory = Memory(before: before, loaded: max(afterLoading - before, 0), peak: peak)
        thermal = [thermalBefore, machine.thermalState()]
        savedPower = machine.savesPower()
    }
}

/// Inferences of a turn that lasts about so long: at least 2, at most 50, as on other machines.
private func turnLength(inference: Double, turn: Double) -> Int {
    min(max(Int((turn / max(inference, 0.001)).rounded(.up)), 2), 50)
}

private func milliseconds(_ body: () throws -> Void) rethrows -> Double {
    let start = DispatchTime.now().uptimeNanoseconds
    try body()
    return Double(DispatchTime.now().uptimeNanoseconds - start) / 1e6
}
