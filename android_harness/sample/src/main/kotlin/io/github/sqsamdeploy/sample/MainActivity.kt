package io.github.sqsamdeploy.sample

import android.content.ContentValues
import android.content.Context
import android.content.Intent
import android.graphics.Bitmap
import android.net.Uri
import android.os.Bundle
import android.provider.MediaStore
import androidx.activity.ComponentActivity
import androidx.activity.compose.rememberLauncherForActivityResult
import androidx.activity.compose.setContent
import androidx.activity.result.PickVisualMediaRequest
import androidx.activity.result.contract.ActivityResultContracts
import androidx.compose.foundation.layout.Column
import androidx.compose.foundation.layout.Row
import androidx.compose.foundation.layout.safeDrawingPadding
import androidx.compose.material3.Button
import androidx.compose.material3.MaterialTheme
import androidx.compose.material3.Text
import androidx.compose.runtime.Composable
import androidx.compose.runtime.DisposableEffect
import androidx.compose.runtime.getValue
import androidx.compose.runtime.mutableStateOf
import androidx.compose.runtime.remember
import androidx.compose.runtime.rememberCoroutineScope
import androidx.compose.runtime.setValue
import androidx.compose.ui.Modifier
import androidx.compose.ui.platform.LocalContext
import io.github.sqsamdeploy.MaskEditor
import io.github.sqsamdeploy.Segmenter
import io.github.sqsamdeploy.android.Models
import io.github.sqsamdeploy.android.cutOut
import io.github.sqsamdeploy.android.image
import io.github.sqsamdeploy.android.readPhoto
import io.github.sqsamdeploy.compose.CutOutView
import io.github.sqsamdeploy.executorch.ExecuTorch
import io.github.sqsamdeploy.litert.LiteRt
import io.github.sqsamdeploy.onnx.OnnxRuntime
import java.io.IOException
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.launch
import kotlinx.coroutines.withContext

/** Picks a photo, cuts an object out, and saves or shares it as a PNG. */
class MainActivity : ComponentActivity() {
    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        setContent { MaterialTheme { CutOutScreen() } }
    }
}

private class Opened(val photo: Bitmap, val editor: MaskEditor)

@Composable
private fun CutOutScreen() {
    val context = LocalContext.current
    val scope = rememberCoroutineScope()
    var segmenter by remember { mutableStateOf<Segmenter?>(null) }
    var opened by remember { mutableStateOf<Opened?>(null) }
    var message by remember { mutableStateOf("Pick a photo.") }

    fun attempt(work: suspend () -> Unit) {
        scope.launch {
            try {
                work()
            } catch (error: Exception) {
                message = error.message ?: error.toString()
            }
        }
    }

    val picker =
        rememberLauncherForActivityResult(ActivityResultContracts.PickVisualMedia()) { uri ->
            if (uri != null) {
                attempt {
                    val ready = segmenter ?: openSegmenter(context).also { segmenter = it }
                    val photo = readPhoto(context, uri)
                    opened = Opened(photo, MaskEditor(ready.image(photo), scope))
                    message = ""
                }
            }
        }
    DisposableEffect(Unit) { onDispose { segmenter?.close() } }

    Column(Modifier.safeDrawingPadding()) {
        opened?.let { CutOutView(it.editor, it.photo, Modifier.weight(1f)) }
        Text(message)
        Row {
            Button(onClick = {
                picker.launch(PickVisualMediaRequest(ActivityResultContracts.PickVisualMedia.ImageOnly))
            }) { Text("Photo") }
            Button(
                enabled = opened != null,
                onClick = { attempt { opened?.let { message = "Saved: ${save(context, it)}" } } },
            ) { Text("Save") }
            Button(
                enabled = opened != null,
                onClick = { attempt { opened?.let { share(context, save(context, it)) } } },
            ) { Text("Share") }
        }
    }
}

/** The first runtime that the app has models for. */
private suspend fun openSegmenter(context: Context): Segmenter {
    val models = Models(context)
    val release = models.releases().firstOrNull() ?: throw IOException("the app has no models: see docs/android.md")
    val runtimes = models.artifacts(release).map { it.metadata.runtime }
    val factory = listOf(ExecuTorch, LiteRt, OnnxRuntime).first { it.runtime in runtimes }
    return models.segmenter(factory, release)
}

/** Puts the cut-out among the phone's pictures. */
private suspend fun save(context: Context, opened: Opened): Uri {
    val mask = opened.editor.state.value.mask ?: throw IOException("nothing is selected")
    val picture = mask.cutOut(opened.photo)
    return withContext(Dispatchers.IO) {
        val details =
            ContentValues().apply {
                put(MediaStore.Images.Media.DISPLAY_NAME, "cut-out.png")
                put(MediaStore.Images.Media.MIME_TYPE, "image/png")
            }
        val resolver = context.contentResolver
        val uri =
            resolver.insert(MediaStore.Images.Media.EXTERNAL_CONTENT_URI, details)
                ?: throw IOException("the picture cannot be saved")
        resolver.openOutputStream(uri).use { stream ->
            if (stream == null || !picture.compress(Bitmap.CompressFormat.PNG, 100, stream)) {
                throw IOException("the picture cannot be written")
            }
        }
        uri
    }
}

private fun share(context: Context, picture: Uri) {
    val intent =
        Intent(Intent.ACTION_SEND).apply {
            type = "image/png"
            putExtra(Intent.EXTRA_STREAM, picture)
            addFlags(Intent.FLAG_GRANT_READ_URI_PERMISSION)
        }
    context.startActivity(Intent.createChooser(intent, null))
}
