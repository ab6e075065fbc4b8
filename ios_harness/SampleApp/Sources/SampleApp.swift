import SwiftUI

/// Picks a photo, cuts out what is meant, and hands the PNG on.
@main
struct SampleApp: App {
    var body: some Scene {
        WindowGroup {
            ContentView()
        }
    }
}
