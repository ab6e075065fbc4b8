import Foundation

/// What the system says of the phone and of its state.
enum Phone {
    /// "iPhone16,1"; on a simulator the Mac's architecture, which `sqsam-bench` refuses.
    static var model: String {
        var size = 0
        sysctlbyname("hw.machine", nil, &size, nil, 0)
        var name = [CChar](repeating: 0, count: size)
        sysctlbyname("hw.machine", &name, &size, nil, 0)
        return String(cString: name)
    }

    static func device(named name: String?) -> Device {
        let info = ProcessInfo.processInfo
        let system = info.operatingSystemVersion
        return Device(
            kind: "iphone",
            name: name ?? model,
            model: model,
            system: "iOS \(system.majorVersion).\(system.minorVersion).\(system.patchVersion)",
            cores: info.activeProcessorCount,
            memory: Int(info.physicalMemory)
        )
    }

    static var thermalState: String {
        switch ProcessInfo.processInfo.thermalState {
        case .nominal: return "nominal"
        case .fair: return "fair"
        case .serious: return "serious"
        case .critical: return "critical"
        @unknown default: return "critical"
        }
    }

    static var savesPower: Bool {
        ProcessInfo.processInfo.isLowPowerModeEnabled
    }

    static var build: String {
        #if DEBUG
        return "debug"
        #else
        return "release"
        #endif
    }
}
