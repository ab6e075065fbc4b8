package io.github.sqsamdeploy.android

import android.content.Context
import android.graphics.Bitmap
import android.graphics.Canvas
import android.graphics.Color
import android.graphics.ColorSpace
import android.graphics.ImageDecoder
import android.graphics.Matrix
import android.net.Uri
import io.github.sqsamdeploy.Photo
import io.github.sqsamdeploy.PreparedImage
import io.github.sqsamdeploy.Segmenter
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.withContext

/** Pixels that [readPhoto] decodes at most: 96 MB as a bitmap. */
public const val MOST_PIXELS: Int = 24_000_000

/**
 * Reads a photo upright (EXIF) and in sRGB, whatever color profile it carries.
 *
 * @param mostPixels A larger photo is halved while it is decoded, until it has no more than these.
 * @return In memory that the processor can read; transparency stays.
 * @throws java.io.IOException The photo cannot be opened or decoded.
 */
public suspend fun readPhoto(context: Context, uri: Uri, mostPixels: Int = MOST_PIXELS): Bitmap =
    withContext(Dispatchers.IO) {
        ImageDecoder.decodeBitmap(ImageDecoder.createSource(context.contentResolver, uri)) { decoder, info, _ ->
            decoder.allocator = ImageDecoder.ALLOCATOR_SOFTWARE
            decoder.setTargetColorSpace(ColorSpace.get(ColorSpace.Named.SRGB))
            decoder.setTargetSampleSize(sampleSize(info.size.width, info.size.height, mostPixels))
        }
    }

internal fun sampleSize(width: Int, height: Int, mostPixels: Int): Int {
    var size = 1
    while (width.toLong() / size * (height / size) > mostPixels) size *= 2
    return size
}

/** Takes a bitmap, upright as it is shown; it may be recycled afterwards. */
public suspend fun Segmenter.image(bitmap: Bitmap): PreparedImage =
    image(withContext(Dispatchers.Default) { BitmapPhoto.of(bitmap) })

/** Reads and takes a photo; see [readPhoto]. */
public suspend fun Segmenter.image(context: Context, uri: Uri): PreparedImage = image(readPhoto(context, uri))

/** The bitmap turned clockwise by a multiple of 90 degrees. */
public fun Bitmap.turned(degrees: Int): Bitmap =
    if (degrees % 360 == 0) {
        this
    } else {
        val matrix = Matrix().apply { postRotate(degrees.toFloat()) }
        Bitmap.createBitmap(this, 0, 0, width, height, matrix, false)
    }

/** A bitmap's rows: sRGB, as `getPixels` converts them, transparency on white. */
internal class BitmapPhoto private constructor(private val bitmap: Bitmap) : Photo {
    override val width: Int get() = bitmap.width
    override val height: Int get() = bitmap.height
    private val row = IntArray(bitmap.width)

    override fun readRow(y: Int, rgb: ByteArray) {
        bitmap.getPixels(row, 0, width, 0, y, width, 1)
        for (x in row.indices) {
            rgb[3 * x] = (row[x] shr 16).toByte()
            rgb[3 * x + 1] = (row[x] shr 8).toByte()
            rgb[3 * x + 2] = row[x].toByte()
        }
    }

    companion object {
        fun of(bitmap: Bitmap): BitmapPhoto {
            // A hardware bitmap's pixels cannot be read where they are.
            val readable =
                if (bitmap.config == Bitmap.Config.HARDWARE) bitmap.copy(Bitmap.Config.ARGB_8888, false) else bitmap
            checkNotNull(readable) { "there is no memory to read the photo's pixels" }
            return BitmapPhoto(if (readable.hasAlpha()) onWhite(readable) else readable)
        }

        private fun onWhite(bitmap: Bitmap): Bitmap {
            val flat = Bitmap.createBitmap(bitmap.width, bitmap.height, Bitmap.Config.ARGB_8888)
            Canvas(flat).apply {
                drawColor(Color.WHITE)
                drawBitmap(bitmap, 0f, 0f, null)
            }
            return flat
        }
    }
}
