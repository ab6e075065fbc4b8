// Each marked line must be an error, and no other line.
package io.github.sqsamdeploy.mistakes

import android.content.Context
import android.graphics.Bitmap
import android.net.Uri
import io.github.sqsamdeploy.Mask
import io.github.sqsamdeploy.Segmenter
import io.github.sqsamdeploy.android.Models
import io.github.sqsamdeploy.android.cutOut
import io.github.sqsamdeploy.android.image
import io.github.sqsamdeploy.android.readPhoto
import io.github.sqsamdeploy.executorch.ExecuTorch
import java.nio.FloatBuffer
import org.pytorch.executorch.Tensor

fun onMainThread(context: Context, uri: Uri) = readPhoto(context, uri) // mistake: decoding in a plain function

suspend fun withoutRuntime(context: Context) = Models(context).segmenter("executorch") // mistake: a name for a runtime

suspend fun nullable(segmenter: Segmenter, bitmap: Bitmap?) = segmenter.image(bitmap) // mistake: no photo

suspend fun swapped(mask: Mask, photo: Bitmap) = photo.cutOut(mask) // mistake: the mask cuts the photo out

fun wrongShape(data: FloatBuffer) = Tensor.fromBlob(data, intArrayOf(1, 2)) // mistake: shapes are longs

fun newRuntime() = ExecuTorch() // mistake: an object is not made

fun config(bitmap: Bitmap): Bitmap = bitmap.copy(Bitmap.Config.ARGB_8888, false) // mistake: there may be no memory

fun frame(proxy: androidx.camera.core.ImageProxy): Bitmap = proxy.bitmap // mistake: no such property
