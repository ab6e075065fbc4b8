import Foundation
import PhotosUI
import SqueezeSAMCore
import SqueezeSAMCoreML
import SqueezeSAMUI
import SwiftUI

struct ContentView: View {
    @StateObject private var session = CutOutSession()
    @State private var picked: PhotosPickerItem?

    var body: some View {
        VStack(spacing: 16) {
            switch session.state {
            case .loading(let step):
                ProgressView()
                Text(step)
            case .failed(let reason):
                Text(reason).foregroundColor(.red)
            case .ready(let model):
                CutOutView(model: model)
                HStack(spacing: 24) {
                    PhotosPicker("Choose a photo", selection: $picked, matching: .images)
                    Button("Cut out") {
                        Task { await session.export() }
                    }
                    if let file = session.exported {
                        ShareLink(item: file)
                    }
                }
            }
        }
        .padding()
        .task { await session.load() }
        .task(id: picked) {
            guard let picked else { return }
            await session.open(picked)
        }
    }
}

/// The models of this app, and what is being cut out.
@MainActor
final class CutOutSession: ObservableObject {
    enum State {
        case loading(String)
        case ready(CutOutModel)
        case failed(String)
    }

    @Published private(set) var state = State.loading("Loading the models")
    /// The last cut-out, as a file to share.
    @Published private(set) var exported: URL?

    /// Opens what `sqsam-pull` put into the folder Models of this project.
    func load() async {
        guard case .loading = state else { return }
        do {
            let models = Bundle.main.bundleURL.appendingPathComponent("Models")
            let package = try ModelPackage(folder: models)
            let segmenter = try await Segmenter(coreML: package) { step in
                guard case .compiling = step else { return }
                Task { @MainActor in
                    if case .loading = self.state {
                        self.state = .loading("Preparing the models for this device, once")
                    }
                }
            }
            state = .ready(CutOutModel(segmenter: segmenter))
        } catch {
            state = .failed("\(error)")
        }
    }

    func open(_ item: PhotosPickerItem) async {
        guard case .ready(let model) = state else { return }
        exported = nil
        do {
            guard let content = try await item.loadTransferable(type: Data.self) else { return }
            model.open(try await Task.detached { try RGBImage(encoded: content) }.value)
        } catch {
            state = .failed("\(error)")
        }
    }

    func export() async {
        guard case .ready(let model) = state else { return }
        do {
            let file = FileManager.default.temporaryDirectory.appendingPathComponent("cut-out.png")
            try await model.cutoutPNG().write(to: file, options: .atomic)
            exported = file
        } catch {
            exported = nil
        }
    }
}
