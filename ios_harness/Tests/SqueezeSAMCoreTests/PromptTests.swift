import SqueezeSAMCore
import XCTest

final class PromptTests: XCTestCase {
    private let first = Click(x: 10, y: 20)
    private let second = Click(x: 30, y: 40, label: .background)

    func testPromptIsAValueThatClicksAreAddedToAndTakenFrom() throws {
        let prompt = Prompt(clicks: [first])
        let more = prompt.adding(second)
        XCTAssertEqual(prompt.clicks, [first])
        XCTAssertEqual(more.clicks, [first, second])
        XCTAssertEqual(try more.removingClick(at: 0).clicks, [second])
        XCTAssertThrowsError(try prompt.removingClick(at: 1))
    }

    func testEditorGoesBackStepByStep() {
        var editor = PromptEditor()
        editor.add(first)
        editor.set(Box(x0: 0, y0: 0, x1: 5, y1: 5))
        XCTAssertTrue(editor.removeClick(nearX: 11, y: 20, within: 2))
        XCTAssertFalse(editor.removeClick(nearX: 11, y: 20, within: 2))
        XCTAssertEqual(editor.prompt.clicks, [])
        editor.undo()
        XCTAssertEqual(editor.prompt.clicks, [first])
        editor.undo()
        XCTAssertNil(editor.prompt.box)
        editor.undo()
        XCTAssertTrue(editor.prompt.isEmpty)
        XCTAssertFalse(editor.canUndo)
    }

    func testRemovingTakesTheNearestClick() {
        var editor = PromptEditor(automatic: Prompt(clicks: [first, Click(x: 12, y: 20)]))
        XCTAssertTrue(editor.removeClick(nearX: 12.2, y: 20, within: 5))
        XCTAssertEqual(editor.prompt.clicks, [first])
    }

    func testBoxOfAPersonTakesThePlaceOfTheAutomaticClicks() {
        var editor = PromptEditor(automatic: Prompt(clicks: [first]))
        editor.add(second)
        editor.set(Box(x0: 0, y0: 0, x1: 5, y1: 5))
        XCTAssertEqual(editor.prompt.clicks, [second])
        XCTAssertFalse(editor.isAutomatic)
        editor.undo()
        editor.undo()
        XCTAssertTrue(editor.isAutomatic)
    }

    func testViewportShowsPortraitAndLandscapeInTheMiddle() throws {
        for (width, height) in [(300, 900), (900, 300), (400, 400)] {
            let view = Viewport(
                imageWidth: width, imageHeight: height, viewWidth: 200, viewHeight: 160)
            let center = try XCTUnwrap(view.pixel(x: 100, y: 80))
            XCTAssertEqual(center.x, Float(width) / 2 - 0.5, accuracy: 1e-3)
            XCTAssertEqual(center.y, Float(height) / 2 - 0.5, accuracy: 1e-3)
            let place = view.place(x: center.x, y: center.y)
            XCTAssertEqual(place.x, 100, accuracy: 1e-3)
            XCTAssertEqual(place.y, 80, accuracy: 1e-3)
            XCTAssertLessThanOrEqual(view.shownWidth, 200.001)
            XCTAssertLessThanOrEqual(view.shownHeight, 160.001)
        }
    }

    func testTouchBesideThePhotoIsNone() {
        let view = Viewport(imageWidth: 100, imageHeight: 300, viewWidth: 300, viewHeight: 300)
        XCTAssertNil(view.pixel(x: 10, y: 150))
        XCTAssertNotNil(view.pixel(x: 150, y: 150))
        let edge = view.nearestPixel(x: 10, y: 400)
        XCTAssertEqual(edge.x, -0.5)
        XCTAssertEqual(edge.y, 299.5)
    }
}
