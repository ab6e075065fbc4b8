import Foundation
import SqueezeSAMBenchmark
import SwiftUI
import UIKit

/// What the measurement says of itself: on the screen, and on the console that started it.
@MainActor
final class ProgressLog: ObservableObject {
    @Published private(set) var lines: [String] = []
    @Published private(set) var isRunning = false

    /// Measures everything the plan lists. Returns whether there is a result.
    @discardableResult
    func measure() async -> Bool {
        isRunning = true
        // A phone that locks itself stops the app.
        UIApplication.shared.isIdleTimerDisabled = true
        defer {
            UIApplication.shared.isIdleTimerDisabled = false
            isRunning = false
        }
        do {
            let documents = FileManager.default.urls(
                for: .documentDirectory, in: .userDomainMask)[0]
            let target = documents.appendingPathComponent("sqsam-result.json")
            try? FileManager.default.removeItem(at: target)
            let suite = Suite(folder: try PlanFolder.find(in: documents), machine: .phone) { line in
                await self.say(line)
            }
            let result = await Task.detached(priority: .userInitiated) { await suite.run() }.value
            try result.write(to: target)
            await say("result: \(target.lastPathComponent)")
            return true
        } catch {
            await say("error: \(error)")
            return false
        }
    }

    /// Says a line and waits until it was laid out, so that no inference pays for it.
    private func say(_ line: String) async {
        FileHandle.standardOutput.write(Data("\(line)\n".utf8))
        lines.append(line)
        try? await Task.sleep(nanoseconds: 20_000_000)
    }
}
