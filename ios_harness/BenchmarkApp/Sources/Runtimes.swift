import CoreML
import Foundation
import SqueezeSAMBenchmark
import SqueezeSAMCore
import SqueezeSAMCoreML
import SqueezeSAMExecuTorch

extension Machine {
    /// This phone, with every runtime that this app holds.
    static let phone = Machine(
        thermalState: { Phone.thermalState },
        savesPower: { Phone.savesPower },
        footprint: { Phone.footprint },
        build: Phone.build,
        versions: ["ios_harness": "2"],
        device: { Phone.device(named: $0) },
        make: { url, artifact in
            guard artifact.runtime == "coreml" else { return url }
            // Packages are compiled on the phone, as an app that downloads them does it.
            return try await CompiledModels.caches.url(of: url, key: artifactDigest(url))
        },
        open: { url, artifact, compute in
            switch artifact.runtime {
            case "coreml":
                return try CoreMLBackend(compiled: url, computeUnits: computeUnits(compute))
            case "executorch", "executorch-coreml":
                return try ExecuTorchBackend(program: url)
            default:
                throw SegmentationError.device("the app does not run \(artifact.runtime)")
            }
        },
        reference: { artifact, compute in
            artifact.runtime == "coreml" && compute != "cpuOnly" ? "cpuOnly" : nil
        },
        planned: { url, artifact, compute in
            guard artifact.runtime == "coreml", #available(iOS 17.4, macOS 14.4, *) else {
                return nil
            }
            guard let units = try? computeUnits(compute) else { return nil }
            let backend = try? CoreMLBackend(compiled: url, computeUnits: units)
            return try? await backend?.plannedOperations()
        })
}

@Sendable private func computeUnits(_ name: String) throws -> MLComputeUnits {
    switch name {
    case "all": return .all
    case "cpuAndNeuralEngine": return .cpuAndNeuralEngine
    case "cpuOnly": return .cpuOnly
    default: throw SegmentationError.usage("Core ML has no compute units \(name)")
    }
}
