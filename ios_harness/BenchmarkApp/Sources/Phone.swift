@preconcurrency import Darwin
import Foundation
import SqueezeSAMBenchmark

/// What the system says of the phone and of its state.
enum Phone {
    /// "iPhone16,1"; on a simulator the Mac's architecture, which `sqsam-bench` refuses.
    static var model: String {
        var size = 0
        sysctlbyname("hw.machine", nil, &size, nil, 0)
        var name = [UInt8](repeating: 0, count: size)
        sysctlbyname("hw.machine", &name, &size, nil, 0)
        return String(decoding: name.prefix { $0 != 0 }, as: UTF8.self)
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

    /// Memory that iOS counts against this app, and ends it for (`phys_footprint`), in bytes.
    static var footprint: Int {
        var info = task_vm_info_data_t()
        let words = MemoryLayout<task_vm_info_data_t>.size / MemoryLayout<integer_t>.size
        var count = mach_msg_type_number_t(words)
        let status = withUnsafeMutablePointer(to: &info) { pointer in
            pointer.withMemoryRebound(to: integer_t.self, capacity: words) { integers in
                task_info(mach_task_self_, task_flavor_t(TASK_VM_INFO), integers, &count)
            }
        }
        return status == KERN_SUCCESS ? Int(info.phys_footprint) : 0
    }
}
