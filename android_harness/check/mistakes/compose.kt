// Each marked line must be an error, and no other line.
package io.github.sqsamdeploy.mistakes

import android.graphics.Bitmap
import androidx.compose.foundation.layout.Column
import androidx.compose.runtime.Composable
import androidx.compose.ui.Modifier
import io.github.sqsamdeploy.MaskEditor
import io.github.sqsamdeploy.compose.CutOutView

fun notComposable(editor: MaskEditor, photo: Bitmap) { // mistake: it is not marked
    CutOutView(editor, photo) // mistake: a composable from a plain function
}

@Composable
fun outOfColumn(editor: MaskEditor, photo: Bitmap) {
    CutOutView(editor, photo, Modifier.weight(1f)) // mistake: weight outside of a column
    Column { CutOutView(editor, photo, Modifier.weight(1f)) }
}

@Composable
fun inCallback(editor: MaskEditor, photo: Bitmap) {
    val show = { CutOutView(editor, photo) } // mistake: a composable in a callback
    show()
}

@Composable
fun withoutPhoto(editor: MaskEditor) = CutOutView(editor) // mistake: no photo
