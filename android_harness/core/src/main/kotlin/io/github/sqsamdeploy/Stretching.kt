package io.github.sqsamdeploy

import kotlin.math.ceil
import kotlin.math.max
import kotlin.math.min
import kotlin.math.round

/**
 * Stretches a photo to a square of [size] pixels, size x size x 3 RGB bytes.
 *
 * With [Resize.STRETCH_BILINEAR_ANTIALIAS] it is Pillow's BILINEAR, whose support grows with the
 * reduction, first across and then down; with [Resize.STRETCH_BILINEAR] it is torch's
 * `interpolate(mode="bilinear", align_corners=False)`. Both are rounded to 8 bits; torch
 * adds in an order of its own, so that single values of the second differ by one step.
 */
public fun stretch(photo: Photo, size: Int, resize: Resize): ByteArray {
    val stretcher = stretcher(photo.width, photo.height, size, resize)
    feed(photo, listOf(stretcher)) {}
    return stretcher.square()
}

/** Takes the rows of a photo, from the first to the last, and makes a square of them. */
internal interface Stretcher {
    fun take(y: Int, rgb: ByteArray)

    fun square(): ByteArray
}

internal fun stretcher(width: Int, height: Int, size: Int, resize: Resize): Stretcher =
    when (resize) {
        Resize.STRETCH_BILINEAR -> PlainStretcher(width, height, size)
        Resize.STRETCH_BILINEAR_ANTIALIAS -> FilteringStretcher(width, height, size)
    }

/** Gives every row to every stretcher: however many squares are wanted, a photo is read once. */
internal fun feed(photo: Photo, stretchers: List<Stretcher>, betweenRows: () -> Unit) {
    val row = ByteArray(photo.width * CHANNELS)
    for (y in 0 until photo.height) {
        betweenRows()
        photo.readRow(y, row)
        for (stretcher in stretchers) stretcher.take(y, row)
    }
}

private class FilteringStretcher(width: Int, private val height: Int, private val size: Int) : Stretcher {
    private val across = TriangleFilter(width, size)
    private val narrow = ByteArray(height * size * CHANNELS)

    override fun take(y: Int, rgb: ByteArray) {
        across.apply(rgb, narrow, y * size * CHANNELS)
    }

    override fun square(): ByteArray = TriangleFilter(height, size).down(narrow, size * CHANNELS)
}

/** Pillow's triangle filter along one axis, its weights in fixed point as Pillow keeps them. */
private class TriangleFilter(inSize: Int, private val outSize: Int) {
    private val starts = IntArray(outSize)
    private val counts = IntArray(outSize)
    private val width: Int
    private val weights: IntArray

    init {
        val scale = inSize.toDouble() / outSize
        val support = max(scale, 1.0)
        width = ceil(support).toInt() * 2 + 1
        weights = IntArray(outSize * width)
        val exact = DoubleArray(width)
        for (out in 0 until outSize) {
            val center = (out + 0.5) * scale
            val start = max((center - support + 0.5).toInt(), 0)
            val count = min((center + support + 0.5).toInt(), inSize) - start
            var sum = 0.0
            for (i in 0 until count) {
                val distance = (i + start - center + 0.5) * (1.0 / support)
                exact[i] = max(1.0 - kotlin.math.abs(distance), 0.0)
                sum += exact[i]
            }
            for (i in 0 until count) {
                weights[out * width + i] = (0.5 + exact[i] / sum * (1 shl PRECISION)).toInt()
            }
            starts[out] = start
            counts[out] = count
        }
    }

    /** One row of RGB pixels, to [target] from [at] on. */
    fun apply(row: ByteArray, target: ByteArray, at: Int) {
        for (out in 0 until outSize) {
            var red = HALF
            var green = HALF
            var blue = HALF
            var from = starts[out] * CHANNELS
            for (i in out * width until out * width + counts[out]) {
                val weight = weights[i]
                red += weight * (row[from].toInt() and 0xFF)
                green += weight * (row[from + 1].toInt() and 0xFF)
                blue += weight * (row[from + 2].toInt() and 0xFF)
                from += CHANNELS
            }
            val to = at + out * CHANNELS
            target[to] = clipped(red)
            target[to + 1] = clipped(green)
            target[to + 2] = clipped(blue)
        }
    }

    /** Rows of [rowBytes] bytes, filtered from top to bottom. */
    fun down(rows: ByteArray, rowBytes: Int): ByteArray {
        val result = ByteArray(outSize * rowBytes)
        val sums = IntArray(rowBytes)
        for (out in 0 until outSize) {
            sums.fill(HALF)
            for (i in 0 until counts[out]) {
                val weight = weights[out * width + i]
                val from = (starts[out] + i) * rowBytes
                for (x in 0 until rowBytes) sums[x] += weight * (rows[from + x].toInt() and 0xFF)
            }
            for (x in 0 until rowBytes) result[out * rowBytes + x] = clipped(sums[x])
        }
        return result
    }

    private fun clipped(sum: Int) = (sum shr PRECISION).coerceIn(0, 255).toByte()

    private companion object {
        const val PRECISION = 32 - 8 - 2
        const val HALF = 1 shl (PRECISION - 1)
    }
}

/** Where an output pixel lies between two input pixels, in float32 as torch counts. */
internal class Taps(inSize: Int, outSize: Int) {
    val low = IntArray(outSize)
    val high = IntArray(outSize)
    val share = FloatArray(outSize)

    init {
        val scale = inSize.toFloat() / outSize
        for (out in 0 until outSize) {
            val position = max(scale * (out + 0.5f) - 0.5f, 0f)
            low[out] = min(position.toInt(), inSize - 1)
            high[out] = min(low[out] + 1, inSize - 1)
            share[out] = min(max(position - low[out], 0f), 1f)
        }
    }
}

private class PlainStretcher(width: Int, height: Int, private val size: Int) : Stretcher {
    private val columns = Taps(width, size)
    private val rows = Taps(height, size)
    private var above = ByteArray(width * CHANNELS)
    private var current = ByteArray(width * CHANNELS)
    private val square = ByteArray(size * size * CHANNELS)
    private var next = 0

    override fun take(y: Int, rgb: ByteArray) {
        above = current.also { current = above }
        rgb.copyInto(current)
        while (next < size && rows.high[next] == y) {
            write(if (rows.low[next] == y) current else above, current, rows.share[next])
            next += 1
        }
    }

    override fun square(): ByteArray = square

    private fun write(upper: ByteArray, lower: ByteArray, down: Float) {
        for (x in 0 until size) {
            val across = columns.share[x]
            for (channel in 0 until CHANNELS) {
                val left = columns.low[x] * CHANNELS + channel
                val right = columns.high[x] * CHANNELS + channel
                val first = (1f - down) * upper.at(left) + down * lower.at(left)
                val second = (1f - down) * upper.at(right) + down * lower.at(right)
                val value = (1f - across) * first + across * second
                square[(next * size + x) * CHANNELS + channel] = round(value).toInt().toByte()
            }
        }
    }

    private fun ByteArray.at(index: Int) = (this[index].toInt() and 0xFF).toFloat()
}
