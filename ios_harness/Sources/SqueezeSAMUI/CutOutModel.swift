#if canImport(SwiftUI) && canImport(CoreML)
import CoreGraphics
import Foundation
import SqueezeSAMCore
import SqueezeSAMCoreML
import SwiftUI

/// A photo, the prompt that is being made on it, and its mask.
@MainActor
public final class CutOutModel: ObservableObject {
    /// What the view shows beside the photo.
    public enum Activity: Equatable {
        case idle
        case working
        case failed(String)
    }

    @Published public private(set) var activity = Activity.idle
    @Published public private(set) var editor = PromptEditor()
    @Published public private(set) var photo: CGImage?
    /// The mask's color on everything inside it.
    @Published public private(set) var overlay: CGImage?
    @Published public private(set) var mask: Mask?

    private let segmenter: Segmenter
    private var image: SegmentationImage?
    private var work: Task<Void, Never>?

    public init(segmenter: Segmenter) {
        self.segmenter = segmenter
    }

    public var prompt: Prompt { editor.prompt }

    /// Width and height of the photo, in pixels.
    public var size: (width: Int, height: Int)? { image.map { ($0.width, $0.height) } }

    /// Shows a photo, and the mask of what stands out in it.
    public func open(_ photo: RGBImage) {
        begin { model in
            let image = try await model.segmenter.image(photo)
            let shown = try await Shown(photo)
            try Task.checkCancellation()
            model.image = image
            model.photo = shown.picture
            model.editor = PromptEditor()
            model.show(nil)
            await model.start(image)
        }
    }

    /// A click on a pixel of the photo; one on a click that is there takes it away.
    public func click(x: Float, y: Float, label: Click.Label, reach: Float) {
        if !editor.removeClick(nearX: x, y: y, within: reach) {
            editor.add(Click(x: x, y: y, label: label))
        }
        update()
    }

    public func select(_ box: Box) {
        editor.set(box)
        update()
    }

    public func undo() {
        editor.undo()
        update()
    }

    public func clear() {
        editor.clear()
        update()
    }

    /// The photo with everything outside the mask transparent, as a PNG file.
    ///
    /// - Throws: `SegmentationError`: there is no mask yet, or no memory.
    public func cutoutPNG() async throws -> Data {
        guard let mask, let image else { throw SegmentationError.usage("there is no mask yet") }
        return try await Task.detached { try mask.cutoutPNG(of: image.photo) }.value
    }

    /// The first mask without a tap; without a saliency network the photo waits for one.
    private func start(_ image: SegmentationImage) async {
        guard let prompt = try? await image.automaticPrompt(), editor.prompt.isEmpty,
            !Task.isCancelled
        else { return }
        editor = PromptEditor(automatic: prompt)
        if let mask = try? await image.mask() { show(mask) }
    }

    private func update() {
        guard let image else { return }
        let (prompt, isAutomatic) = (editor.prompt, editor.isAutomatic)
        begin { model in
            if prompt.isEmpty {
                model.show(nil)
            } else if isAutomatic {
                model.show(try await image.mask())
            } else {
                model.show(try await image.mask(for: prompt))
            }
        }
    }

    /// Does something in the place of what is being done.
    private func begin(_ body: @escaping @MainActor (CutOutModel) async throws -> Void) {
        work?.cancel()
        activity = .working
        work = Task { [weak self] in
            guard let self else { return }
            do {
                try await body(self)
                if !Task.isCancelled { self.activity = .idle }
            } catch is CancellationError {
                // Something newer is on its way.
            } catch {
                if !Task.isCancelled { self.activity = .failed("\(error)") }
            }
        }
    }

    private func show(_ mask: Mask?) {
        self.mask = mask
        overlay = mask?.cgImage
    }
}

/// A picture that is made outside the main thread and then only shown.
private struct Shown: @unchecked Sendable {
    let picture: CGImage

    init(_ photo: RGBImage) async throws {
        self = try await Task.detached {
            let (width, height) = (photo.width, photo.height)
            let everything = try Mask(
                width: width, height: height, pixels: Array(repeating: 255, count: width * height),
                predictedIoU: 1)
            return Shown(picture: try everything.cutoutImage(of: photo))
        }.value
    }

    private init(picture: CGImage) {
        self.picture = picture
    }
}
#endif
