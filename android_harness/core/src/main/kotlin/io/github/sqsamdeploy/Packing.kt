package io.github.sqsamdeploy

import java.nio.ByteBuffer

/**
 * Writes a photo's square and a prompt into a network's inputs, in the types and layouts it declares.
 *
 * The square is written when it changes, the prompt's maps and points each time.
 *
 * @param buffers As [directBuffers] makes them for [specs].
 */
public class InputPacker(private val specs: List<TensorSpec>, private val buffers: List<ByteBuffer>) {
    private val writers =
        specs.zip(buffers).mapNotNull { (spec, buffer) ->
            when (spec.name) {
                "image" -> writerOf(spec, buffer, imageAt = 0, mapsAt = null)
                "prompt_maps" -> writerOf(spec, buffer, imageAt = null, mapsAt = 0)
                "pixels" -> writerOf(spec, buffer, imageAt = 0, mapsAt = CHANNELS)
                "point_coords", "point_labels" -> null
                else -> throw ArtifactException("the network has an unknown input '${spec.name}'")
            }
        }

    /** Writes size x size x 3 RGB bytes. */
    public fun writeImage(square: ByteArray) {
        for (writer in writers) writer.image(square)
    }

    /** Writes maps and points. */
    public fun writePrompt(prompt: EncodedPrompt) {
        for (writer in writers) writer.maps(prompt.maps)
        specs.zip(buffers).forEach { (spec, buffer) ->
            when (spec.name) {
                "point_coords" -> buffer.asFloatBuffer().put(prompt.pointCoords)
                "point_labels" -> buffer.asFloatBuffer().put(prompt.pointLabels)
            }
        }
    }
}

private fun writerOf(spec: TensorSpec, buffer: ByteBuffer, imageAt: Int?, mapsAt: Int?): PixelWriter =
    when {
        spec.layout == "NCHW" && spec.type == ElementType.FLOAT32 -> PlaneWriter(spec, buffer, imageAt, mapsAt)
        spec.layout in listOf("NHWC", "image") && spec.type != ElementType.FLOAT32 ->
            InterleavedWriter(spec, buffer, imageAt, mapsAt)
        else -> throw ArtifactException("input '${spec.name}' is ${spec.type} in ${spec.layout}, which is unknown")
    }

/** Pixels of one input; [imageAt] and [mapsAt] are their first channels, null where it has none. */
private abstract class PixelWriter(private val imageAt: Int?, private val mapsAt: Int?) {
    fun image(square: ByteArray) {
        val first = imageAt ?: return
        for (channel in 0 until CHANNELS) write(first + channel, square, channel, CHANNELS)
        flush()
    }

    fun maps(maps: ByteArray) {
        val first = mapsAt ?: return
        val plane = maps.size / MAPS
        for (map in 0 until MAPS) write(first + map, maps, map * plane, 1)
        flush()
    }

    /** Takes one channel from every [step]-th byte of [source], beginning at [start]. */
    abstract fun write(channel: Int, source: ByteArray, start: Int, step: Int)

    abstract fun flush()

    private companion object {
        const val MAPS = 2
    }
}

private class PlaneWriter(spec: TensorSpec, buffer: ByteBuffer, imageAt: Int?, mapsAt: Int?) :
    PixelWriter(imageAt, mapsAt) {
    private val target = buffer.asFloatBuffer()
    private val plane = FloatArray(spec.count / spec.shape[1])

    override fun write(channel: Int, source: ByteArray, start: Int, step: Int) {
        for (i in plane.indices) plane[i] = (source[start + i * step].toInt() and 0xFF).toFloat()
        target.position(channel * plane.size)
        target.put(plane)
    }

    override fun flush() = Unit
}

private class InterleavedWriter(spec: TensorSpec, private val buffer: ByteBuffer, imageAt: Int?, mapsAt: Int?) :
    PixelWriter(imageAt, mapsAt) {
    private val channels = spec.shape.last()
    private val bytes = ByteArray(spec.count)

    // Minus 128 is the same bits with the highest one turned.
    private val turned = if (spec.type == ElementType.INT8) 0x80 else 0

    override fun write(channel: Int, source: ByteArray, start: Int, step: Int) {
        var from = start
        for (to in channel until bytes.size step channels) {
            bytes[to] = (source[from].toInt() xor turned).toByte()
            from += step
        }
    }

    override fun flush() {
        buffer.rewind()
        buffer.put(bytes)
        buffer.rewind()
    }
}
