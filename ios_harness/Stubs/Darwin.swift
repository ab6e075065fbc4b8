// A stand-in for the system's module, to type-check against where there is none.
import Foundation
@_exported import Glibc

public typealias integer_t = Int32
public typealias kern_return_t = Int32
public typealias mach_msg_type_number_t = UInt32
public typealias natural_t = UInt32
public typealias task_flavor_t = natural_t
public typealias mach_port_t = UInt32
public typealias task_info_t = UnsafeMutablePointer<integer_t>

public struct task_vm_info_data_t {
    public init() {}
    public var phys_footprint: UInt64 = 0
}

public let KERN_SUCCESS: kern_return_t = 0
public let TASK_VM_INFO: Int32 = 22
/// A variable, as in the system's module: the reason why Swift 6 refuses to read it.
public var mach_task_self_: mach_port_t = 0

public func task_info(
    _ target_task: mach_port_t, _ flavor: task_flavor_t, _ task_info_out: task_info_t!,
    _ task_info_outCnt: UnsafeMutablePointer<mach_msg_type_number_t>!
) -> kern_return_t { 0 }

@discardableResult
public func sysctlbyname(
    _ name: UnsafePointer<CChar>!, _ oldp: UnsafeMutableRawPointer!,
    _ oldlenp: UnsafeMutablePointer<Int>!, _ newp: UnsafeMutableRawPointer!, _ newlen: Int
) -> Int32 { 0 }

// What Foundation has on these systems alone.
extension ProcessInfo {
    public enum ThermalState: Int, Sendable {
        case nominal, fair, serious, critical
    }

    public var thermalState: ThermalState { .nominal }
    public var isLowPowerModeEnabled: Bool { false }
}
