package io.github.sqsamdeploy

/**
 * A mask of the photo's size.
 *
 * @property pixels height x width bytes: 255 inside, 0 outside.
 */
public class Mask(public val width: Int, public val height: Int, public val pixels: ByteArray) {
    /** Pixels inside. */
    public val area: Int get() = pixels.count { it != 0.toByte() }

    /** Whether the pixel lies inside. */
    public operator fun get(x: Int, y: Int): Boolean = pixels[y * width + x] != 0.toByte()
}

/**
 * Enlarges one mask of a network to the photo and cuts it at the threshold.
 *
 * It is torch's `interpolate(mode="bilinear", align_corners=False)`; a pixel belongs to the mask
 * where the logit is above [threshold].
 *
 * @param logits Masks of [size] x [size] one after another.
 * @param index Which of them.
 */
public fun enlargeMask(
    logits: FloatArray,
    size: Int,
    index: Int,
    width: Int,
    height: Int,
    threshold: Float,
): Mask {
    val columns = Taps(size, width)
    val rows = Taps(size, height)
    val upper = FloatArray(width)
    val lower = FloatArray(width)
    val pixels = ByteArray(width * height)
    var widened = -1
    for (y in 0 until height) {
        if (rows.low[y] != widened) {
            widened = rows.low[y]
            widen(logits, (index * size + widened) * size, columns, upper)
            widen(logits, (index * size + rows.high[y]) * size, columns, lower)
        }
        val down = rows.share[y]
        for (x in 0 until width) {
            if ((1f - down) * upper[x] + down * lower[x] > threshold) pixels[y * width + x] = INSIDE
        }
    }
    return Mask(width, height, pixels)
}

private fun widen(logits: FloatArray, start: Int, columns: Taps, target: FloatArray) {
    for (x in target.indices) {
        val across = columns.share[x]
        target[x] = (1f - across) * logits[start + columns.low[x]] + across * logits[start + columns.high[x]]
    }
}

/** Numbers of the masks, the one with the highest predicted IoU first; equal ones keep their order. */
public fun bestFirst(iouPredictions: FloatArray): List<Int> =
    iouPredictions.indices.sortedByDescending { iouPredictions[it] }

private const val INSIDE: Byte = -1
