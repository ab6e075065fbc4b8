package io.github.sqsamdeploy

/** The meaning of a click; [value] is SAM's label. */
public enum class Label(public val value: Int) {
    /** Not this. */
    BACKGROUND(0),

    /** This. */
    FOREGROUND(1),
}

/** A click in pixels of the photo, pixel centers at whole numbers. */
public data class Click(val x: Float, val y: Float, val label: Label = Label.FOREGROUND)

/** A box in pixels of the photo; its edges belong to it. Corners may come in any order. */
public data class Box(val x0: Float, val y0: Float, val x1: Float, val y1: Float)

/**
 * A person's clicks and box on a photo: a value that never changes.
 *
 * Undo is going back to the earlier value.
 */
public data class Prompt(val clicks: List<Click> = emptyList(), val box: Box? = null) {
    /** The prompt with one more click, the latest. */
    public fun withClick(x: Float, y: Float, label: Label = Label.FOREGROUND): Prompt =
        copy(clicks = clicks + Click(x, y, label))

    /**
     * The prompt without the click at [index].
     *
     * @throws PromptException There is no such click.
     */
    public fun withoutClick(index: Int): Prompt {
        if (index !in clicks.indices) {
            throw PromptException("click $index does not exist: the prompt has ${clicks.size}")
        }
        return copy(clicks = clicks.filterIndexed { position, _ -> position != index })
    }

    /** The prompt with this box, or without one. */
    public fun withBox(box: Box?): Prompt = copy(box = box)

    /**
     * The prompt as it counts on a photo of [width] x [height] pixels.
     *
     * A click outside the photo, but not by more than the photo's own size, moves to its edge; the
     * box is cut at the photo, and its corners are put in order.
     *
     * @throws PromptException A number is not finite, clicks or box are shares of the photo
     *     (0 to 1), or they lie outside.
     */
    public fun on(width: Int, height: Int): Prompt {
        requireFinite()
        val bounded = box?.cutAt(width, height)
        refuseShares(width, height)
        clicks.firstOrNull { it.isFarFrom(width, height) }?.let {
            throw PromptException(
                "the click (${it.x}, ${it.y}) lies far outside the photo of ${width}x$height pixels",
            )
        }
        val right = (width - 1).toFloat()
        val bottom = (height - 1).toFloat()
        return Prompt(
            clicks.map { it.copy(x = it.x.coerceIn(0f, right), y = it.y.coerceIn(0f, bottom)) },
            bounded,
        )
    }

    /**
     * The prompt with at most [most] clicks: the first one and the latest ones.
     *
     * The first click says which object is meant, the latest ones correct what still is wrong.
     */
    public fun limitedTo(most: Int): Prompt {
        if (clicks.size <= most) return this
        return copy(clicks = (clicks.take(1) + clicks.takeLast(most - 1)).take(most))
    }

    private fun requireFinite() {
        val numbers = clicks.flatMap { listOf(it.x, it.y) } + box.numbers()
        if (!numbers.all(Float::isFinite)) {
            throw PromptException("clicks and box must be finite numbers")
        }
    }

    /** As pixels, shares of the photo would all lie on its first one, where nobody points. */
    private fun refuseShares(width: Int, height: Int) {
        if (minOf(width, height) < SMALL) return
        val shares = clicks.flatMap { listOf(it.x, it.y) }
        val clicksAreShares =
            shares.isNotEmpty() && shares.all { it in 0f..1f } && shares.any { it % 1f != 0f }
        val boxIsShares = box != null && box.numbers().all { it in 0f..1f }
        if (clicksAreShares || boxIsShares) {
            val given = if (clicksAreShares) shares.take(2) else box.numbers()
            throw PromptException(
                "(${given.joinToString(", ")}) looks like shares of the photo: " +
                    "give pixels of its ${width}x$height",
            )
        }
    }

    public companion object {
        /**
         * A prompt in SAM's words.
         *
         * @param pointCoords x and y of each point in turn.
         * @param pointLabels 1 foreground, 0 background, -1 no point: the pair is dropped.
         * @param box x0, y0, x1, y1.
         * @throws PromptException Another label, or as many coordinates as do not fit.
         */
        public fun of(pointCoords: FloatArray, pointLabels: IntArray, box: FloatArray? = null): Prompt {
            if (pointCoords.size != 2 * pointLabels.size || (box != null && box.size != 4)) {
                throw PromptException("a point has two coordinates and a label, a box four coordinates")
            }
            val clicks =
                pointLabels.indices.filter { pointLabels[it] != -1 }.map { index ->
                    val label =
                        Label.entries.find { it.value == pointLabels[index] }
                            ?: throw PromptException("labels are 1, 0 or -1: a box goes into box")
                    Click(pointCoords[2 * index], pointCoords[2 * index + 1], label)
                }
            return Prompt(clicks, box?.let { Box(it[0], it[1], it[2], it[3]) })
        }

        /** Photos with a shorter side than this may be clicked within 0 to 1. */
        private const val SMALL = 8
    }
}

private fun Box?.numbers(): List<Float> = if (this == null) emptyList() else listOf(x0, y0, x1, y1)

private fun Click.isFarFrom(width: Int, height: Int): Boolean =
    x < -width || y < -height || x > 2f * width || y > 2f * height

private fun Box.cutAt(width: Int, height: Int): Box {
    val left = minOf(x0, x1)
    val top = minOf(y0, y1)
    val right = maxOf(x0, x1)
    val bottom = maxOf(y0, y1)
    if (right < 0 || bottom < 0 || left > width || top > height) {
        throw PromptException("the box ($x0, $y0, $x1, $y1) lies outside the photo of ${width}x$height pixels")
    }
    val lastX = (width - 1).toFloat()
    val lastY = (height - 1).toFloat()
    return Box(
        left.coerceIn(0f, lastX),
        top.coerceIn(0f, lastY),
        right.coerceIn(0f, lastX),
        bottom.coerceIn(0f, lastY),
    )
}
