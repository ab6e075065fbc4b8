// Each marked line must be an error, and no other line.
package io.github.sqsamdeploy.mistakes

import io.github.sqsamdeploy.Click
import io.github.sqsamdeploy.Label
import io.github.sqsamdeploy.Network
import io.github.sqsamdeploy.PreparedImage
import io.github.sqsamdeploy.Prompt
import io.github.sqsamdeploy.Segmenter

fun notSuspending(image: PreparedImage) {
    image.mask(Prompt()) // mistake: a suspend function from a plain one
}

fun wrongLabel() = Click(1f, 2f, 1) // mistake: a number for a label

fun internals(image: PreparedImage) = image.square // mistake: internal

fun changed(prompt: Prompt) {
    prompt.clicks.add(Click(1f, 2f, Label.FOREGROUND)) // mistake: prompts never change
}

fun withoutMetadata(network: Network) = Segmenter(network.backend) // mistake: a backend is no network
