package io.github.sqsamdeploy

import java.nio.ByteBuffer
import java.util.concurrent.CountDownLatch

/** A tiny segmentation network's metadata: a square of 8 pixels, masks of 4. */
fun segmentation(): ArtifactMetadata =
    ArtifactMetadata(
        task = Task.SEGMENTATION,
        preset = "tiny",
        runtime = "fake",
        precision = "int8",
        imageSize = 8,
        maskSize = 4,
        resize = Resize.STRETCH_BILINEAR_ANTIALIAS,
        prompts = PromptRules(MapOrder.CLICKS_BOX, 1, 255, carveBackground = true, maxClicks = 6),
        maskThreshold = 0f,
        inputs =
            listOf(
                TensorSpec("pixels", ElementType.INT8, listOf(1, 8, 8, 5), "NHWC"),
                TensorSpec("point_coords", ElementType.FLOAT32, listOf(1, 8, 2), "NxPx2"),
                TensorSpec("point_labels", ElementType.FLOAT32, listOf(1, 8), "NxP"),
            ),
        outputs =
            listOf(
                TensorSpec("low_res_masks", ElementType.FLOAT32, listOf(1, 2, 4, 4), "NxMxHxW"),
                TensorSpec("iou_predictions", ElementType.FLOAT32, listOf(1, 2), "NxM"),
            ),
    )

/** A tiny saliency network's metadata. */
fun saliency(): ArtifactMetadata =
    segmentation().copy(
        task = Task.SALIENCY,
        prompts = null,
        inputs = listOf(TensorSpec("image", ElementType.FLOAT32, listOf(1, 3, 8, 8), "NCHW")),
        outputs = listOf(TensorSpec("saliency_logits", ElementType.FLOAT32, listOf(1, 1, 4, 4), "NxMxHxW")),
    )

/**
 * A backend that answers what it is told and remembers what it was asked.
 *
 * @property gate Held back inferences; open from the start unless given.
 */
class FakeBackend(
    metadata: ArtifactMetadata,
    private val gate: CountDownLatch = CountDownLatch(0),
    private val answer: (List<ByteBuffer>) -> List<FloatArray>,
) : Backend {
    override val inputs: List<ByteBuffer> = directBuffers(metadata.inputs)
    val started = CountDownLatch(1)

    /** Labels of the points of every inference. */
    val prompts = mutableListOf<List<Float>>()

    @Volatile var runs = 0

    @Volatile var closed = false

    override fun run(): List<FloatArray> {
        check(!closed) { "a closed backend was run" }
        runs += 1
        inputs.lastOrNull()?.takeIf { it.capacity() == 32 }?.let { labels ->
            prompts += List(8) { labels.asFloatBuffer().get(it) }
        }
        started.countDown()
        gate.await()
        return answer(inputs)
    }

    override fun close() {
        closed = true
    }
}

/** Two masks: nothing, and the left half, which is expected to be better. */
fun leftHalf(): List<FloatArray> =
    listOf(FloatArray(32) { if (it >= 16 && it % 4 < 2) 5f else -5f }, floatArrayOf(0.2f, 0.9f))

/** A photo of one color. */
fun plainPhoto(width: Int = 20, height: Int = 10): RgbImage = RgbImage(width, height, ByteArray(width * height * 3) { 100 })
