package io.github.sqsamdeploy.android

import android.graphics.Bitmap
import io.github.sqsamdeploy.Mask
import java.nio.ByteBuffer
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.withContext

/** The mask as a bitmap of alpha alone, which a paint or color filter gives any color. */
public suspend fun Mask.toBitmap(): Bitmap =
    withContext(Dispatchers.Default) {
        val bitmap = Bitmap.createBitmap(width, height, Bitmap.Config.ALPHA_8)
        bitmap.copyPixelsFromBuffer(ByteBuffer.wrap(padded(bitmap.rowBytes)))
        bitmap
    }

/** Rows as a bitmap keeps them, which may be longer than the mask's. */
private fun Mask.padded(rowBytes: Int): ByteArray {
    if (rowBytes == width) return pixels
    val rows = ByteArray(rowBytes * height)
    for (y in 0 until height) pixels.copyInto(rows, y * rowBytes, y * width, (y + 1) * width)
    return rows
}

/**
 * The photo, transparent outside the mask.
 *
 * @param photo Of the mask's size.
 */
public suspend fun Mask.cutOut(photo: Bitmap): Bitmap =
    withContext(Dispatchers.Default) {
        require(photo.width == width && photo.height == height) {
            "the photo has ${photo.width}x${photo.height} pixels, the mask ${width}x$height"
        }
        val source = if (photo.config == Bitmap.Config.HARDWARE) photo.copy(Bitmap.Config.ARGB_8888, false) else photo
        checkNotNull(source) { "there is no memory to read the photo's pixels" }
        val result = Bitmap.createBitmap(width, height, Bitmap.Config.ARGB_8888)
        val row = IntArray(width)
        for (y in 0 until height) {
            source.getPixels(row, 0, width, 0, y, width, 1)
            for (x in 0 until width) if (!this@cutOut[x, y]) row[x] = 0
            result.setPixels(row, 0, width, 0, y, width, 1)
        }
        result
    }
