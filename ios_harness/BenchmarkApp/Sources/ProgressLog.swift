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
            let folder = try PlanFolder.find()
            let suite = Suite(folder: folder) { line in
                Task { @MainActor in self.say(line) }
            }
            let path = try await Task.detached(priority: .userInitiated) {
                try await suite.run()
            }.value
            say("result: \(path.lastPathComponent)")
            return true
        } catch {
            say("error: \(error)")
            return false
        }
    }

    private func say(_ line: String) {
        print(line)
        fflush(stdout)
        lines.append(line)
    }
}
