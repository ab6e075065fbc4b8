import Foundation
import SqueezeSAMCore
import SqueezeSAMVectors
import XCTest

/// The project's vectors: in the checkout, or where the variable SQSAM_VECTORS says.
private let vectors: URL = {
    if let named = ProcessInfo.processInfo.environment["SQSAM_VECTORS"] {
        return URL(fileURLWithPath: named)
    }
    return URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("../../../tests/vectors").standardizedFileURL
}()

final class VectorTests: XCTestCase {
    func testEveryVectorHolds() throws {
        guard FileManager.default.fileExists(atPath: vectors.path) else {
            throw XCTSkip("\(vectors.path) is not there: this is no whole checkout")
        }
        let outcomes = try VectorSuite(folder: vectors).run()
        for outcome in outcomes where outcome.failure != nil {
            XCTFail("\(outcome.topic) \(outcome.name): \(outcome.failure ?? "")")
        }
        let topics = Set(outcomes.map(\.topic))
        XCTAssertTrue(
            topics.isSuperset(of: ["metadata", "resize", "prompts", "packing", "saliency", "masks"])
        )
        print("vectors: \(outcomes.filter { $0.failure == nil }.count) of \(outcomes.count)")
    }
}
