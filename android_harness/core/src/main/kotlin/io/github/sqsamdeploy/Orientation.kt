package io.github.sqsamdeploy

/**
 * A photo as it is seen, of stored pixels and their EXIF orientation.
 *
 * @param orientation 1 to 8; anything else counts as 1, as in damaged files.
 */
public fun upright(image: RgbImage, orientation: Int): RgbImage {
    if (orientation !in 2..8) return image
    val turned = orientation >= 5
    val width = if (turned) image.height else image.width
    val height = if (turned) image.width else image.height
    val pixels = ByteArray(image.pixels.size)
    for (y in 0 until height) {
        for (x in 0 until width) {
            // EXIF 2.32, tag 0x0112: which side of the stored pixels is shown on top, which left.
            val (storedX, storedY) =
                when (orientation) {
                    2 -> width - 1 - x to y
                    3 -> width - 1 - x to height - 1 - y
                    4 -> x to height - 1 - y
                    5 -> y to x
                    6 -> y to width - 1 - x
                    7 -> height - 1 - y to width - 1 - x
                    else -> height - 1 - y to x
                }
            val from = (storedY * image.width + storedX) * CHANNELS
            image.pixels.copyInto(pixels, (y * width + x) * CHANNELS, from, from + CHANNELS)
        }
    }
    return RgbImage(width, height, pixels)
}
