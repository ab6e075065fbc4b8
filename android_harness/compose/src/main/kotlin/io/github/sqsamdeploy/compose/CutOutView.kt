package io.github.sqsamdeploy.compose

import android.graphics.Bitmap
import androidx.compose.foundation.Canvas
import androidx.compose.foundation.gestures.detectDragGestures
import androidx.compose.foundation.gestures.detectTapGestures
import androidx.compose.foundation.layout.Column
import androidx.compose.foundation.layout.Row
import androidx.compose.foundation.layout.fillMaxWidth
import androidx.compose.material3.LinearProgressIndicator
import androidx.compose.material3.Text
import androidx.compose.material3.TextButton
import androidx.compose.runtime.Composable
import androidx.compose.runtime.LaunchedEffect
import androidx.compose.runtime.collectAsState
import androidx.compose.runtime.getValue
import androidx.compose.runtime.mutableStateOf
import androidx.compose.runtime.produceState
import androidx.compose.runtime.remember
import androidx.compose.runtime.setValue
import androidx.compose.ui.Modifier
import androidx.compose.ui.geometry.Offset
import androidx.compose.ui.geometry.Rect
import androidx.compose.ui.geometry.Size
import androidx.compose.ui.graphics.Color
import androidx.compose.ui.graphics.ColorFilter
import androidx.compose.ui.graphics.ImageBitmap
import androidx.compose.ui.graphics.asImageBitmap
import androidx.compose.ui.graphics.drawscope.DrawScope
import androidx.compose.ui.graphics.drawscope.Stroke
import androidx.compose.ui.input.pointer.pointerInput
import androidx.compose.ui.semantics.CustomAccessibilityAction
import androidx.compose.ui.semantics.LiveRegionMode
import androidx.compose.ui.semantics.contentDescription
import androidx.compose.ui.semantics.customActions
import androidx.compose.ui.semantics.liveRegion
import androidx.compose.ui.semantics.semantics
import androidx.compose.ui.semantics.stateDescription
import androidx.compose.ui.unit.IntOffset
import androidx.compose.ui.unit.IntSize
import io.github.sqsamdeploy.Box
import io.github.sqsamdeploy.EditorState
import io.github.sqsamdeploy.Fit
import io.github.sqsamdeploy.Label
import io.github.sqsamdeploy.MaskEditor
import io.github.sqsamdeploy.android.toBitmap
import kotlin.math.roundToInt

/** What the view says, on its buttons and to a screen reader; an app gives its own languages. */
public data class CutOutWords(
    val photo: String = "Photo. Tap what to keep, hold what to leave out, drag a box.",
    val selected: (percent: Int) -> String = { "$it percent of the photo is selected" },
    val nothingSelected: String = "Nothing is selected",
    val working: String = "Selecting",
    val start: String = "Select the main object",
    val undo: String = "Undo",
    val other: String = "Another mask",
)

/**
 * A photo on which a person cuts an object out.
 *
 * It begins with what is most salient. A tap includes, holding excludes, dragging draws a box. The
 * mask is in [MaskEditor.state].
 *
 * @param editor Of the photo; a new photo has a new one.
 * @param photo What is shown: upright, of the size that the editor's image has.
 * @param color Of the mask, which the photo shines through.
 */
@Composable
public fun CutOutView(
    editor: MaskEditor,
    photo: Bitmap,
    modifier: Modifier = Modifier,
    words: CutOutWords = CutOutWords(),
    color: Color = Color(0xFF1E90FF),
) {
    val state by editor.state.collectAsState()
    LaunchedEffect(editor) { if (editor.state.value == EditorState()) editor.start() }
    Column(modifier) {
        MaskCanvas(editor, state, photo, words, color, Modifier.weight(1f))
        if (state.isWorking) LinearProgressIndicator(Modifier.fillMaxWidth())
        Row(Modifier.fillMaxWidth()) {
            TextButton(onClick = editor::undo, enabled = state.canUndo) { Text(words.undo) }
            TextButton(onClick = { editor.chooseNext(state) }, enabled = state.prediction != null) { Text(words.other) }
            TextButton(onClick = editor::start) { Text(words.start) }
        }
    }
}

private fun MaskEditor.chooseNext(state: EditorState) {
    state.prediction?.let { choose((state.chosen + 1) % it.count) }
}

@Composable
private fun MaskCanvas(
    editor: MaskEditor,
    state: EditorState,
    photo: Bitmap,
    words: CutOutWords,
    color: Color,
    modifier: Modifier,
) {
    val image = remember(photo) { photo.asImageBitmap() }
    val mask by produceState<ImageBitmap?>(null, state.mask) { value = state.mask?.toBitmap()?.asImageBitmap() }
    var dragged by remember(editor) { mutableStateOf<Rect?>(null) }
    Canvas(
        modifier
            .fillMaxWidth()
            .pointerInput(editor) {
                detectTapGestures(
                    onTap = { at -> editor.at(at, size) { x, y -> include(x, y) } },
                    onLongPress = { at -> editor.at(at, size) { x, y -> exclude(x, y) } },
                )
            }
            .pointerInput(editor) {
                detectDragGestures(
                    onDragStart = { at -> dragged = Rect(at, at) },
                    onDragCancel = { dragged = null },
                    onDragEnd = {
                        dragged?.let { editor.boxAround(it, size) }
                        dragged = null
                    },
                    onDrag = { change, _ -> dragged = dragged?.let { Rect(it.topLeft, change.position) } },
                )
            }
            .semantics {
                contentDescription = words.photo
                stateDescription = words.describe(state)
                liveRegion = LiveRegionMode.Polite
                customActions =
                    listOf(
                        CustomAccessibilityAction(words.start) { true.also { editor.start() } },
                        CustomAccessibilityAction(words.undo) { state.canUndo.also { editor.undo() } },
                    )
            },
    ) {
        val fit = editor.fit(size.width, size.height)
        drawPicture(image, fit)
        mask?.let { drawPicture(it, fit, ColorFilter.tint(color), SHINING) }
        drawPrompt(state, fit)
        dragged?.let { drawBox(it) }
    }
}

private fun CutOutWords.describe(state: EditorState): String {
    val mask = state.mask
    return when {
        state.isWorking -> working
        mask == null || mask.area == 0 -> nothingSelected
        else -> selected((100L * mask.area / mask.pixels.size).toInt())
    }
}

private fun MaskEditor.fit(viewWidth: Float, viewHeight: Float): Fit {
    val (width, height) = size
    return Fit(viewWidth, viewHeight, width, height)
}

/** Does something at a point of the view, where it lies on the photo. */
private fun MaskEditor.at(view: Offset, viewSize: IntSize, act: MaskEditor.(Float, Float) -> Unit) {
    val point = fit(viewSize.width.toFloat(), viewSize.height.toFloat()).toPhoto(view.x, view.y)
    val (width, height) = size
    if (point.x in -0.5f..width - 0.5f && point.y in -0.5f..height - 0.5f) act(point.x, point.y)
}

/** A box that a drag left; one beside the photo is none. */
private fun MaskEditor.boxAround(view: Rect, viewSize: IntSize) {
    val fit = fit(viewSize.width.toFloat(), viewSize.height.toFloat())
    val first = fit.toPhoto(view.left, view.top)
    val last = fit.toPhoto(view.right, view.bottom)
    val (width, height) = size
    if (maxOf(first.x, last.x) < 0 || maxOf(first.y, last.y) < 0) return
    if (minOf(first.x, last.x) > width - 1 || minOf(first.y, last.y) > height - 1) return
    box(Box(first.x, first.y, last.x, last.y))
}

private fun DrawScope.drawPicture(image: ImageBitmap, fit: Fit, filter: ColorFilter? = null, alpha: Float = 1f) {
    drawImage(
        image = image,
        dstOffset = IntOffset(fit.left.roundToInt(), fit.top.roundToInt()),
        dstSize = IntSize((fit.shownWidth).roundToInt(), (fit.shownHeight).roundToInt()),
        alpha = alpha,
        colorFilter = filter,
    )
}

private fun DrawScope.drawPrompt(state: EditorState, fit: Fit) {
    val radius = 6 * density
    for (click in state.prompt.clicks) {
        val place = fit.toView(click.x, click.y)
        val center = Offset(place.x, place.y)
        drawCircle(Color.White, radius * 1.3f, center)
        drawCircle(if (click.label == Label.FOREGROUND) INCLUDED else EXCLUDED, radius, center)
    }
    state.prompt.box?.let {
        val first = fit.toView(it.x0, it.y0)
        val last = fit.toView(it.x1, it.y1)
        drawBox(Rect(Offset(first.x, first.y), Offset(last.x, last.y)))
    }
}

private fun DrawScope.drawBox(box: Rect) {
    val topLeft = Offset(minOf(box.left, box.right), minOf(box.top, box.bottom))
    val extent = Size(maxOf(box.left, box.right) - topLeft.x, maxOf(box.top, box.bottom) - topLeft.y)
    drawRect(INCLUDED, topLeft, extent, style = Stroke(2 * density))
}

private const val SHINING = 0.55f
private val INCLUDED = Color(0xFF00E65A)
private val EXCLUDED = Color(0xFFE62828)
