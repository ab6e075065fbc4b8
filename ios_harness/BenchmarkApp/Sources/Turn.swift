import Foundation

/// One turn of one row: load, first inference, warm-up, and samples of the steady state.
struct Turn {
    let load: Double
    let first: Double
    let warmUp: [Double]
    let samples: [Double]
    let memory: Memory
    let thermal: [String]
    let savedPower: Bool
}

/// Takes a turn: the artifact is loaded anew and let go at the end, so that no row holds memory
/// while another is measured.
func takeTurn(_ source: NetworkSource, compute: String, warmUp: Int, plan: Plan) throws -> Turn {
    let before = memoryFootprint()
    let thermalBefore = Phone.thermalState
    var loaded: Network?
    let load = try milliseconds { loaded = try source.load(compute: compute) }
    guard let network = loaded else { throw Failure("nothing was loaded") }
    let afterLoading = memoryFootprint()
    var peak = afterLoading
    func inference(_ photo: Int) throws -> Double {
        let time = try milliseconds { try autoreleasepool { try network.run(photo: photo) } }
        peak = max(peak, memoryFootprint())
        return time
    }
    let first = try inference(0)
    let warming = try (0..<warmUp).map(inference)
    let discarded = try (0..<plan.discarded).map(inference)
    let count = turnLength(inference: discarded.last ?? first, turn: plan.turnMs)
    let samples = try (0..<count).map(inference)
    return Turn(
        load: load,
        first: first,
        warmUp: warming,
        samples: samples,
        memory: Memory(before: before, loaded: max(afterLoading - before, 0), peak: peak),
        thermal: [thermalBefore, Phone.thermalState],
        savedPower: Phone.savesPower
    )
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
