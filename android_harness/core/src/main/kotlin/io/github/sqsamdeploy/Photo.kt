package io.github.sqsamdeploy

/** A photo, upright and in sRGB, read row by row so that it is never in memory twice. */
public interface Photo {
    public val width: Int
    public val height: Int

    /** Writes row [y], `width` times red, green, blue, to the start of [rgb]. */
    public fun readRow(y: Int, rgb: ByteArray)
}

/**
 * A photo in memory.
 *
 * @property pixels height x width x 3 bytes, RGB.
 */
public class RgbImage(
    override val width: Int,
    override val height: Int,
    public val pixels: ByteArray,
) : Photo {
    init {
        require(width > 0 && height > 0 && pixels.size == width * height * CHANNELS) {
            "${pixels.size} bytes are not $width x $height RGB pixels"
        }
    }

    override fun readRow(y: Int, rgb: ByteArray) {
        pixels.copyInto(rgb, 0, y * width * CHANNELS, (y + 1) * width * CHANNELS)
    }
}

internal const val CHANNELS = 3
