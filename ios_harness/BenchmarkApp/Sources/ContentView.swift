import SwiftUI

struct ContentView: View {
    @ObservedObject var progress: ProgressLog

    var body: some View {
        VStack(alignment: .leading) {
            Button(progress.isRunning ? "Measuring: leave the phone alone" : "Measure") {
                Task { await progress.measure() }
            }
            .disabled(progress.isRunning)
            .buttonStyle(.borderedProminent)
            ScrollView {
                Text(progress.lines.joined(separator: "\n"))
                    .font(.system(.caption, design: .monospaced))
                    .frame(maxWidth: .infinity, alignment: .leading)
            }
        }
        .padding()
    }
}
