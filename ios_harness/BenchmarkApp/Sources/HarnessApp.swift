import Foundation
import SwiftUI

/// Measures what lies in its Documents folder: by a tap, or at once where it is started with "run".
@main
struct HarnessApp: App {
    @StateObject private var progress = ProgressLog()

    var body: some Scene {
        WindowGroup {
            ContentView(progress: progress)
                .task {
                    guard CommandLine.arguments.contains("run") else { return }
                    let succeeded = await progress.measure()
                    exit(succeeded ? 0 : 1)
                }
        }
    }
}
