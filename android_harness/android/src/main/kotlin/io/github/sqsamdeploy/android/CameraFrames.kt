package io.github.sqsamdeploy.android

import android.graphics.Bitmap
import androidx.camera.core.ImageProxy

/** A frame or photo of CameraX as it is seen: converted to RGB and turned upright. */
public fun ImageProxy.toUprightBitmap(): Bitmap = toBitmap().turned(imageInfo.rotationDegrees)
