#if canImport(SwiftUI) && canImport(CoreML)
import CoreGraphics
import Foundation
import SqueezeSAMCore
import SwiftUI

/// A photo to cut something out of: tap for what is meant, hold for what is not, drag a box; a
/// tap on a dot takes it away.
public struct CutOutView: View {
    @ObservedObject private var model: CutOutModel
    @State private var drag: Drag?

    /// How long a finger rests for a background click, and how far it moves for a box.
    private static let hold: TimeInterval = 0.45
    private static let slop: CGFloat = 12

    public init(model: CutOutModel) {
        self.model = model
    }

    public var body: some View {
        VStack(spacing: 12) {
            GeometryReader { geometry in
                if let size = model.size, let photo = model.photo {
                    canvas(
                        photo,
                        Viewport(
                            imageWidth: size.width, imageHeight: size.height,
                            viewWidth: Double(geometry.size.width),
                            viewHeight: Double(geometry.size.height)))
                }
            }
            status
            buttons
        }
    }

    private func canvas(_ photo: CGImage, _ viewport: Viewport) -> some View {
        ZStack {
            Image(decorative: photo, scale: 1)
                .resizable()
                .frame(width: viewport.shownWidth, height: viewport.shownHeight)
            if let overlay = model.overlay {
                tint(overlay)
                    .frame(width: viewport.shownWidth, height: viewport.shownHeight)
            }
            marks(viewport)
        }
        .frame(maxWidth: .infinity, maxHeight: .infinity)
        .contentShape(Rectangle())
        .gesture(touch(viewport))
        .accessibilityLabel(Text("Photo"))
        .accessibilityValue(Text(summary))
        .accessibilityHint(Text("Tap the object, hold for what is not meant, drag a box around it"))
        .accessibilityChildren { regions(viewport) }
    }

    private func tint(_ overlay: CGImage) -> some View {
        Color.accentColor.opacity(0.55)
            .mask {
                Image(decorative: overlay, scale: 1)
                    .resizable()
                    .luminanceToAlpha()
            }
            .allowsHitTesting(false)
    }

    private func marks(_ viewport: Viewport) -> some View {
        Canvas { context, _ in
            if let box = shownBox(viewport) {
                context.stroke(Path(box), with: .color(.white), lineWidth: 2)
            }
            for click in model.prompt.clicks {
                let place = viewport.place(x: click.x, y: click.y)
                let circle = CGRect(x: place.x - 7, y: place.y - 7, width: 14, height: 14)
                let color: Color = click.label == .foreground ? .green : .red
                context.fill(Path(ellipseIn: circle), with: .color(color))
                context.stroke(Path(ellipseIn: circle), with: .color(.white), lineWidth: 2)
            }
        }
        .allowsHitTesting(false)
    }

    private func shownBox(_ viewport: Viewport) -> CGRect? {
        if let drag, drag.isBox { return drag.rectangle }
        return model.prompt.box.map { box in
            let (first, last) = (
                viewport.place(x: box.x0, y: box.y0), viewport.place(x: box.x1, y: box.y1)
            )
            return CGRect(
                x: min(first.x, last.x), y: min(first.y, last.y),
                width: abs(last.x - first.x), height: abs(last.y - first.y))
        }
    }

    private func touch(_ viewport: Viewport) -> some Gesture {
        DragGesture(minimumDistance: 0)
            .onChanged { value in
                var current =
                    drag ?? Drag(start: value.startLocation, end: value.location, began: value.time)
                current.end = value.location
                current.isBox = current.isBox || current.distance > CutOutView.slop
                drag = current
            }
            .onEnded { value in
                guard let finished = drag else { return }
                drag = nil
                finish(finished, at: value.time, viewport)
            }
    }

    private func finish(_ drag: Drag, at time: Date, _ viewport: Viewport) {
        if drag.isBox {
            let first = viewport.nearestPixel(x: Double(drag.start.x), y: Double(drag.start.y))
            let last = viewport.nearestPixel(x: Double(drag.end.x), y: Double(drag.end.y))
            model.select(Box(x0: first.x, y0: first.y, x1: last.x, y1: last.y))
            return
        }
        guard let pixel = viewport.pixel(x: Double(drag.start.x), y: Double(drag.start.y))
        else { return }
        let held = time.timeIntervalSince(drag.began) >= CutOutView.hold
        model.click(
            x: pixel.x, y: pixel.y, label: held ? .background : .foreground,
            reach: Float(14 / viewport.scale))
    }

    /// Nine places that VoiceOver can reach and tap.
    private func regions(_ viewport: Viewport) -> some View {
        ForEach(0..<9, id: \.self) { index in
            let (column, row) = (index % 3, index / 3)
            Button("Select the object \(regionNames[index])") {
                model.click(
                    x: Float(viewport.imageWidth * (2 * column + 1)) / 6,
                    y: Float(viewport.imageHeight * (2 * row + 1)) / 6,
                    label: .foreground, reach: Float(14 / viewport.scale))
            }
        }
    }

    @ViewBuilder private var status: some View {
        switch model.activity {
        case .idle: Text(summary).font(.footnote)
        case .working: ProgressView().accessibilityLabel(Text("Working"))
        case .failed(let reason): Text(reason).font(.footnote).foregroundColor(.red)
        }
    }

    private var buttons: some View {
        HStack(spacing: 24) {
            Button("Undo") { model.undo() }
                .disabled(!model.editor.canUndo)
            Button("Start over") { model.clear() }
                .disabled(model.prompt.isEmpty)
        }
    }

    private var summary: String {
        guard let mask = model.mask else { return "Nothing is selected" }
        let share = mask.area * 100 / max(mask.width * mask.height, 1)
        return mask.isEmpty ? "The mask is empty" : "The object covers \(share) percent"
    }
}

private let regionNames = [
    "at the upper left", "at the top", "at the upper right", "at the left", "in the middle",
    "at the right", "at the lower left", "at the bottom", "at the lower right",
]

/// A finger on the photo, in points of the view.
private struct Drag {
    var start: CGPoint
    var end: CGPoint
    var began: Date
    var isBox = false

    var distance: CGFloat { max(abs(end.x - start.x), abs(end.y - start.y)) }

    var rectangle: CGRect {
        CGRect(
            x: min(start.x, end.x), y: min(start.y, end.y), width: abs(end.x - start.x),
            height: abs(end.y - start.y))
    }
}
#endif
