package io.github.sqsamdeploy.android

import android.graphics.Bitmap
import android.graphics.Canvas
import android.graphics.Color
import android.graphics.Paint
import android.media.ExifInterface
import android.net.Uri
import androidx.test.platform.app.InstrumentationRegistry
import io.github.sqsamdeploy.Mask
import io.github.sqsamdeploy.RgbImage
import io.github.sqsamdeploy.upright
import java.io.File
import kotlin.math.abs
import kotlinx.coroutines.runBlocking
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Test

/** What only a device or an emulator can show: decoding, orientation, and bitmaps in and out. */
class PhotosTest {
    private val context = InstrumentationRegistry.getInstrumentation().targetContext

    /** Four colors in the corners of a photo that is wider than high. */
    private fun corners(): Bitmap {
        val bitmap = Bitmap.createBitmap(96, 64, Bitmap.Config.ARGB_8888)
        val canvas = Canvas(bitmap)
        val colors = listOf(Color.RED, Color.GREEN, Color.BLUE, Color.WHITE)
        colors.forEachIndexed { index, color ->
            val left = index % 2 * 48f
            val top = index / 2 * 32f
            canvas.drawRect(left, top, left + 48f, top + 32f, Paint().apply { this.color = color })
        }
        return bitmap
    }

    private fun pixels(bitmap: Bitmap): RgbImage {
        val photo = BitmapPhoto.of(bitmap)
        val bytes = ByteArray(photo.width * photo.height * 3)
        val row = ByteArray(photo.width * 3)
        for (y in 0 until photo.height) {
            photo.readRow(y, row)
            row.copyInto(bytes, y * row.size)
        }
        return RgbImage(photo.width, photo.height, bytes)
    }

    @Test
    fun photosAreReadUprightInAllEightOrientations() {
        for (orientation in 1..8) {
            val file = File(context.cacheDir, "orientation-$orientation.jpg")
            file.outputStream().use { corners().compress(Bitmap.CompressFormat.JPEG, 95, it) }
            val stored = runBlocking { pixels(readPhoto(context, Uri.fromFile(file))) }
            ExifInterface(file.path).apply {
                setAttribute(ExifInterface.TAG_ORIENTATION, "$orientation")
                saveAttributes()
            }
            val read = runBlocking { pixels(readPhoto(context, Uri.fromFile(file))) }
            val expected = upright(stored, orientation)
            assertEquals("orientation $orientation", expected.width to expected.height, read.width to read.height)
            assertArrayEquals("orientation $orientation", expected.pixels, read.pixels)
        }
    }

    @Test
    fun hardwareBitmapsAreRead() {
        val hardware = corners().copy(Bitmap.Config.HARDWARE, false)
        assertArrayEquals(pixels(corners()).pixels, pixels(checkNotNull(hardware)).pixels)
    }

    @Test
    fun transparencyIsWhite() {
        val bitmap = Bitmap.createBitmap(2, 1, Bitmap.Config.ARGB_8888)
        bitmap.setPixels(intArrayOf(0, Color.BLACK), 0, 2, 0, 0, 2, 1)
        assertArrayEquals(byteArrayOf(-1, -1, -1, 0, 0, 0), pixels(bitmap).pixels)
    }

    @Test
    fun largePhotosAreReducedWhileTheyAreDecoded() {
        val file = File(context.cacheDir, "large.png")
        file.outputStream().use { corners().compress(Bitmap.CompressFormat.PNG, 100, it) }
        val read = runBlocking { readPhoto(context, Uri.fromFile(file), mostPixels = 96 * 64 / 3) }
        assertEquals(48 to 32, read.width to read.height)
    }

    @Test
    fun masksAndCutOutsAreBitmaps() {
        val inside = ByteArray(97 * 64) { if (it % 97 < 10) -1 else 0 }
        val mask = Mask(97, 64, inside)
        val photo = Bitmap.createScaledBitmap(corners(), 97, 64, false)
        val (alpha, cut) = runBlocking { mask.toBitmap() to mask.cutOut(photo) }
        assertEquals(Bitmap.Config.ALPHA_8, alpha.config)
        val row = IntArray(97)
        for (y in listOf(0, 63)) {
            cut.getPixels(row, 0, 97, 0, y, 97, 1)
            assertTrue(row.withIndex().all { (x, color) -> abs(Color.alpha(color)) == if (x < 10) 255 else 0 })
            alpha.getPixels(row, 0, 97, 0, y, 97, 1)
            assertTrue(row.withIndex().all { (x, color) -> Color.alpha(color) == if (x < 10) 255 else 0 })
        }
    }
}
