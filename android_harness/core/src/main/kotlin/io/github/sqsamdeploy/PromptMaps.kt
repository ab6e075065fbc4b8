package io.github.sqsamdeploy

import kotlin.math.ceil
import kotlin.math.floor
import kotlin.math.max
import kotlin.math.min

/**
 * A prompt as a network takes it.
 *
 * @property maps 2 x size x size bytes, 0 or the marked value, in the order of the rules.
 * @property pointCoords maxPoints x 2, (x, y) in pixels of the square.
 * @property pointLabels maxPoints: the clicks' labels, then 2 and 3 for the box's corners, then -1.
 */
public class EncodedPrompt internal constructor(
    public val maps: ByteArray,
    public val pointCoords: FloatArray,
    public val pointLabels: FloatArray,
)

/**
 * Scales a prompt to the network's square, draws its maps and lists its points.
 *
 * Discs hold the pixels whose center lies within the radius of a click; the box's edges belong to
 * it; without a box its map is all marked.
 *
 * @param prompt In pixels of a photo of [width] x [height].
 * @param size Side of the square.
 * @throws PromptException More clicks than the rules allow; see [Prompt.limitedTo].
 */
public fun encodePrompt(prompt: Prompt, width: Int, height: Int, size: Int, rules: PromptRules): EncodedPrompt {
    if (prompt.clicks.size > rules.maxClicks) {
        throw PromptException("${prompt.clicks.size} clicks given, at most ${rules.maxClicks} are taken")
    }
    val scaleX = (size.toDouble() / width).toFloat()
    val scaleY = (size.toDouble() / height).toFloat()
    val clicks = prompt.clicks.map { Click(it.x * scaleX, it.y * scaleY, it.label) }
    val box = prompt.box?.run { Box(x0 * scaleX, y0 * scaleY, x1 * scaleX, y1 * scaleY) }
    return EncodedPrompt(drawMaps(clicks, box, size, rules), coordsOf(clicks, box, rules), labelsOf(clicks, box, rules))
}

private fun drawMaps(clicks: List<Click>, box: Box?, size: Int, rules: PromptRules): ByteArray {
    val marked = rules.markedValue.toByte()
    val plane = size * size
    val maps = ByteArray(2 * plane)
    val (clickMap, boxMap) = if (rules.mapOrder == MapOrder.CLICKS_BOX) 0 to plane else plane to 0
    if (box == null) maps.fill(marked, boxMap, boxMap + plane) else fillBox(maps, boxMap, size, box, marked)
    for (click in clicks) {
        if (click.label == Label.FOREGROUND) {
            fillDisc(maps, clickMap, size, click, rules.clickRadius, marked)
        } else if (rules.carveBackground) {
            fillDisc(maps, boxMap, size, click, rules.clickRadius, 0)
        }
    }
    return maps
}

/** Pixel i belongs to the box when x0 <= i <= x1. */
private fun fillBox(maps: ByteArray, start: Int, size: Int, box: Box, value: Byte) {
    val left = max(ceil(box.x0).toInt(), 0)
    val right = min(floor(box.x1).toInt() + 1, size)
    if (left >= right) return
    for (y in max(ceil(box.y0).toInt(), 0) until min(floor(box.y1).toInt() + 1, size)) {
        maps.fill(value, start + y * size + left, start + y * size + right)
    }
}

private fun fillDisc(maps: ByteArray, start: Int, size: Int, click: Click, radius: Int, value: Byte) {
    val columns = max(click.x.toInt() - radius, 0) until min(click.x.toInt() + radius + 2, size)
    for (y in max(click.y.toInt() - radius, 0) until min(click.y.toInt() + radius + 2, size)) {
        val down = y - click.y.toDouble()
        for (x in columns) {
            val across = x - click.x.toDouble()
            if (across * across + down * down <= radius * radius) maps[start + y * size + x] = value
        }
    }
}

private fun coordsOf(clicks: List<Click>, box: Box?, rules: PromptRules): FloatArray {
    val corners = if (box == null) emptyList() else listOf(box.x0, box.y0, box.x1, box.y1)
    return (clicks.flatMap { listOf(it.x, it.y) } + corners).toFloatArray().copyOf(2 * rules.maxPoints)
}

private fun labelsOf(clicks: List<Click>, box: Box?, rules: PromptRules): FloatArray {
    val corners = if (box == null) emptyList() else listOf(BOX_CORNER, BOX_OPPOSITE_CORNER)
    val labels = clicks.map { it.label.value } + corners
    return FloatArray(rules.maxPoints) { (labels.getOrNull(it) ?: PADDING).toFloat() }
}

private const val BOX_CORNER = 2
private const val BOX_OPPOSITE_CORNER = 3
private const val PADDING = -1
