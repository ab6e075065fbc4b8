import Foundation

/// The bytes of one input, checked against the tensor they are.
func readInput(_ path: String, as input: PlannedInput, in folder: URL) throws -> Data {
    let data = try Data(contentsOf: folder.appendingPathComponent(path))
    let size = input.dtype == "float32" ? 4 : 1
    guard data.count == input.shape.reduce(size, *) else {
        throw Failure("\(path) has \(data.count) bytes, which is not \(input.name)")
    }
    return data
}
