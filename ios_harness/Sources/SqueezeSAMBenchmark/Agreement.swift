import Foundation
import SqueezeSAMCore

/// Refuses outputs that are not those of other compute units: a package that is wrong on some of
/// them gets no latency there.
///
/// Units round differently, and a step of int8 can go either way; a map that is constant, infinite
/// or another one altogether is far beyond that.
///
/// - Throws: `SegmentationError` of kind device.
public func requireAgreement(
    of outputs: [String: [Float]], on compute: String,
    with expected: [String: [Float]], on reference: String
) throws {
    for (name, wanted) in expected.sorted(by: { $0.key < $1.key }) {
        guard let found = outputs[name], found.count == wanted.count else {
            throw SegmentationError.device("\(compute) gives no \(name) like that of \(reference)")
        }
        guard found.allSatisfy(\.isFinite) else {
            throw SegmentationError.device("\(compute) gives \(name) that is not finite")
        }
        let error = relativeError(found, wanted)
        guard error <= largestError else {
            throw SegmentationError.device(
                "\(compute) is wrong here: its \(name) differs from that of \(reference) by "
                    + String(format: "%.0f%%", error * 100))
        }
    }
}

/// Share of the spread that an error may have. Int8 costs about a tenth of it.
private let largestError = 0.5

/// Fewer numbers than this have no spread of their own: they are held against 1.
private let smallestMap = 64

private func relativeError(_ found: [Float], _ wanted: [Float]) -> Double {
    let count = Double(max(wanted.count, 1))
    let mean = wanted.reduce(0.0) { $0 + Double($1) } / count
    let error = zip(found, wanted).reduce(0.0) { $0 + pow(Double($1.0) - Double($1.1), 2) }
    let spread = wanted.reduce(0.0) { $0 + pow(Double($1) - mean, 2) }
    return (error / (wanted.count < smallestMap ? count : max(spread, 1e-12))).squareRoot()
}
