import Darwin

/// Memory that iOS counts against this app, and ends it for (`phys_footprint`), in bytes.
func memoryFootprint() -> Int {
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
