package io.github.sqsamdeploy

import kotlin.math.abs
import kotlin.math.exp
import kotlin.math.floor
import kotlin.math.max
import kotlin.math.min
import kotlin.math.round

/** A point (x, y), pixel centers at whole numbers. */
public data class Point(val x: Float, val y: Float)

/**
 * The five clicks of a saliency map, and what they were read from.
 *
 * @property points In pixels of the map: the blob's center of mass, then those of its sections: top
 *     left, top right, bottom left, bottom right. Each lies in a pixel of the blob.
 * @property blob Whether each pixel of the map belongs to the blob, row by row.
 * @property threshold Upper edge of what is not salient.
 * @property maximum Highest saliency of the map.
 * @property maximumCount Pixels of the blob that have it.
 */
public class SaliencyClicks internal constructor(
    public val points: List<Point>,
    public val blob: BooleanArray,
    public val threshold: Double,
    public val maximum: Double,
    public val maximumCount: Int,
    private val width: Int,
    private val height: Int,
) {
    /** The points on a photo that the map covers whole. */
    public fun on(photoWidth: Int, photoHeight: Int): List<Point> {
        val scaleX = photoWidth.toDouble() / width
        val scaleY = photoHeight.toDouble() / height
        return points.map {
            Point(((it.x + 0.5f) * scaleX - 0.5).toFloat(), ((it.y + 0.5f) * scaleY - 0.5).toFloat())
        }
    }

    /** The blob's box on a photo that the map covers whole; its edges are those of pixels. */
    public fun boxOn(photoWidth: Int, photoHeight: Int): Box {
        val inside = blob.indices.filter { blob[it] }
        val scaleX = photoWidth.toDouble() / width
        val scaleY = photoHeight.toDouble() / height
        return Box(
            (inside.minOf { it % width } * scaleX).toFloat(),
            (inside.first() / width * scaleY).toFloat(),
            ((inside.maxOf { it % width } + 1) * scaleX).toFloat(),
            ((inside.last() / width + 1) * scaleY).toFloat(),
        )
    }

    /** The blob on a grid of [size] x [size] that covers the map: its pixels' centers decide. */
    public fun blobOnGrid(size: Int): BooleanArray =
        BooleanArray(size * size) {
            val row = (2 * (it / size) + 1) * height / (2 * size)
            val column = (2 * (it % size) + 1) * width / (2 * size)
            blob[row * width + column]
        }
}

/**
 * The mask of the automatic start: the one that covers the salient blob best.
 *
 * @param logits Masks of the network, one after another, each of the blob's grid.
 * @param order Their numbers, best first.
 * @return A position in [order]; the first of equals.
 */
public fun mostLikeBlob(logits: FloatArray, order: List<Int>, threshold: Float, blob: BooleanArray): Int {
    val overlaps =
        order.map { mask ->
            var both = 0
            var either = 0
            for (pixel in blob.indices) {
                val inside = logits[mask * blob.size + pixel] > threshold
                if (inside && blob[pixel]) both += 1
                if (inside || blob[pixel]) either += 1
            }
            both.toDouble() / max(either, 1)
        }
    return overlaps.indexOf(overlaps.max())
}

/** The sigmoid in the steps of an 8-bit saliency map, 0 to 255. */
public fun saliencySteps(logits: FloatArray): IntArray =
    IntArray(logits.size) {
        // Beyond 30 the sigmoid is 0 or 1 at any number of steps.
        val bounded = logits[it].toDouble().coerceIn(-30.0, 30.0)
        round(1 / (1 + exp(-bounded)) * STEPS).toInt()
    }

/** Saliency, 0 to 1, of [saliencySteps]. */
public fun saliencyOf(steps: IntArray): FloatArray = FloatArray(steps.size) { steps[it].toFloat() / STEPS }

/**
 * Five clicks on the most salient blob of a saliency map, as docs/saliency.md states the rule.
 *
 * @param saliency height x width values of any range; higher is more salient.
 */
public fun saliencyClicks(saliency: FloatArray, width: Int, height: Int): SaliencyClicks {
    require(saliency.isNotEmpty() && saliency.size == width * height) { "a saliency map must be height x width" }
    require(saliency.all(Float::isFinite)) { "a saliency map must be finite" }
    val levels = levelsOf(saliency)
    val split = otsuLevel(levels)
    val blob = salientBlob(saliency, BooleanArray(levels.size) { levels[it] > split }, width, height)
    val lowest = saliency.min().toDouble()
    val highest = saliency.max()
    return SaliencyClicks(
        points = clicksOn(blob, width, height),
        blob = blob,
        threshold = lowest + (highest - lowest) * (split + 1) / LEVELS,
        maximum = highest.toDouble(),
        maximumCount = blob.indices.count { blob[it] && saliency[it] == highest },
        width = width,
        height = height,
    )
}

private fun levelsOf(saliency: FloatArray): IntArray {
    val lowest = saliency.min().toDouble()
    val span = saliency.max() - lowest
    if (span == 0.0) return IntArray(saliency.size)
    return IntArray(saliency.size) { min(((saliency[it] - lowest) / span * LEVELS).toInt(), LEVELS - 1) }
}

/**
 * The level after which Otsu's method splits; -1 where there is one level only.
 *
 * Of splits with the same variance between the classes the lowest is taken.
 */
private fun otsuLevel(levels: IntArray): Int {
    val counts = LongArray(LEVELS)
    for (level in levels) counts[level]++
    val total = levels.size.toLong()
    val moment = counts.indices.sumOf { counts[it] * it }
    var below = 0L
    var momentBelow = 0L
    val variances =
        DoubleArray(LEVELS - 1) {
            below += counts[it]
            momentBelow += counts[it] * it
            val above = total - below
            // Difference of the class means, times both weights: an exact integer.
            val difference = (momentBelow * above - (moment - momentBelow) * below).toDouble()
            difference * difference / max(below.toDouble() * above, 1.0)
        }
    val best = variances.max()
    return if (best == 0.0) -1 else variances.indexOfFirst { it >= best * (1 - TIE) }
}

private fun salientBlob(saliency: FloatArray, above: BooleanArray, width: Int, height: Int): BooleanArray {
    val labels = IntArray(above.size)
    val pixels = IntArray(above.size)
    val highest = saliency.max()
    var bestLabel = 0
    var bestPeaks = 0
    var bestSize = 0
    var count = 0
    for (start in above.indices) {
        if (!above[start] || labels[start] != 0) continue
        count += 1
        val size = fill(above, labels, pixels, start, count, width, height)
        val peaks = (0 until size).count { saliency[pixels[it]] == highest }
        // The first in reading order keeps its place among equals.
        if (peaks > bestPeaks || peaks == bestPeaks && peaks > 0 && size > bestSize) {
            bestLabel = count
            bestPeaks = peaks
            bestSize = size
        }
    }
    return BooleanArray(labels.size) { labels[it] == bestLabel }
}

/** Labels the 8-connected pixels around [start]; they are listed in [pixels]. */
private fun fill(
    above: BooleanArray,
    labels: IntArray,
    pixels: IntArray,
    start: Int,
    label: Int,
    width: Int,
    height: Int,
): Int {
    var size = 1
    pixels[0] = start
    labels[start] = label
    var next = 0
    while (next < size) {
        val x = pixels[next] % width
        val y = pixels[next] / width
        next += 1
        for (row in max(y - 1, 0)..min(y + 1, height - 1)) {
            for (column in max(x - 1, 0)..min(x + 1, width - 1)) {
                val index = row * width + column
                if (above[index] && labels[index] == 0) {
                    labels[index] = label
                    pixels[size++] = index
                }
            }
        }
    }
    return size
}

private fun clicksOn(blob: BooleanArray, width: Int, height: Int): List<Point> {
    val inside = blob.indices.filter { blob[it] }
    val left = inside.minOf { it % width }
    val top = inside.first() / width
    val shape = Shape(inside.map { it % width - left }, inside.map { it / width - top })
    return shape.centersOfMass().map { (x, y) ->
        val (movedX, movedY) = shape.movedInside(x, y)
        Point((movedX + left).toFloat(), (movedY + top).toFloat())
    }
}

/** The pixels of a blob, in reading order, from its own left and top edge. */
private class Shape(private val columns: List<Int>, private val rows: List<Int>) {
    private val area = columns.size.toDouble()
    private val members = columns.zip(rows).toHashSet()

    /** Of the whole, then of the sections: top left, top right, bottom left, bottom right. */
    fun centersOfMass(): List<Pair<Double, Double>> {
        val centerX = columns.sumOf(Int::toLong) / area
        val centerY = rows.sumOf(Int::toLong) / area
        val sections =
            listOf(false, true).flatMap { below ->
                listOf(false, true).map { beyond ->
                    section(Half(centerX, beyond), Half(centerY, below)) ?: (centerX to centerY)
                }
            }
        return listOf(centerX to centerY) + sections
    }

    private fun section(across: Half, down: Half): Pair<Double, Double>? {
        var weight = 0.0
        var sumX = 0.0
        var sumY = 0.0
        for (i in columns.indices) {
            val share = across.share(columns[i]) * down.share(rows[i])
            weight += share
            sumX += share * across.middle(columns[i])
            sumY += share * down.middle(rows[i])
        }
        return if (weight <= area * TIE) null else sumX / weight to sumY / weight
    }

    /** The point itself where its pixel belongs to the blob, else the nearest pixel that does. */
    fun movedInside(x: Double, y: Double): Pair<Double, Double> {
        val column = min(floor(x + 0.5).toInt(), columns.max())
        val row = min(floor(y + 0.5).toInt(), rows.max())
        if (column to row in members) return x to y
        // To the pixel's square, not to its center: the resolution does not change which is nearest.
        val distances =
            DoubleArray(columns.size) {
                val across = max(abs(columns[it] - x) - 0.5, 0.0)
                val down = max(abs(rows[it] - y) - 0.5, 0.0)
                across * across + down * down
            }
        val nearest = distances.indexOfFirst { it <= distances.min() * (1 + TIE) + TIE }
        return columns[nearest].toDouble() to rows[nearest].toDouble()
    }
}

/** The part of each unit square on one side of a line; squares are centered at whole numbers. */
private class Half(private val line: Double, private val after: Boolean) {
    fun share(position: Int): Double = if (after) 1 - before(position) else before(position)

    fun middle(position: Int): Double = position + before(position) / 2 - if (after) 0.0 else 0.5

    private fun before(position: Int) = (line - position + 0.5).coerceIn(0.0, 1.0)
}

/** Levels of the histogram that Otsu's method works on. */
private const val LEVELS = 256

/** Steps of a saliency map, those of an 8-bit picture. */
private const val STEPS = 255

/** Relative difference under which two numbers are a tie, so that rounding never decides one. */
private const val TIE = 1e-9
