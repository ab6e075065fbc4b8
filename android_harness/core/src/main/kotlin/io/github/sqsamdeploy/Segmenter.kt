package io.github.sqsamdeploy

import java.util.concurrent.Executors
import java.util.concurrent.atomic.AtomicBoolean
import java.util.concurrent.atomic.AtomicInteger
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.asCoroutineDispatcher
import kotlinx.coroutines.ensureActive
import kotlinx.coroutines.sync.Mutex
import kotlinx.coroutines.sync.withLock
import kotlinx.coroutines.withContext

/**
 * Cuts objects out of photos with a network, and picks the first one with a saliency network.
 *
 * All inferences run on one thread of its own, one after another; nothing runs on the caller's.
 * Closing it closes the networks, after the inference that is running; using it or one of its
 * images afterwards is an [IllegalStateException].
 *
 * @param network A segmentation network; the segmenter closes it.
 * @param saliency A saliency network for [PreparedImage.mask] without a prompt; it closes that too.
 */
public class Segmenter(private val network: Network, private val saliency: Network? = null) : AutoCloseable {
    private val rules: PromptRules
    private val closed = AtomicBoolean()
    private val thread = Executors.newSingleThreadExecutor { Thread(it, "squeezesam").apply { isDaemon = true } }
    private val worker = thread.asCoroutineDispatcher()
    private val packer = InputPacker(network.metadata.inputs, network.backend.inputs)
    private val saliencyPacker = saliency?.run { InputPacker(metadata.inputs, backend.inputs) }

    // Whose square lies in the network's inputs; used on the worker alone.
    private var packed: PreparedImage? = null

    init {
        rules =
            network.metadata.prompts
                ?: throw ArtifactException("'${network.metadata.preset}' takes no prompts and makes no masks")
        if (saliency != null && saliency.metadata.task != Task.SALIENCY) {
            throw ArtifactException("'${saliency.metadata.preset}' is no saliency network")
        }
    }

    /** What the network says of itself. */
    public val metadata: ArtifactMetadata get() = network.metadata

    /**
     * Takes a photo: its pixels are read once, and may be let go afterwards.
     *
     * @throws IllegalStateException The segmenter was closed.
     */
    public suspend fun image(photo: Photo): PreparedImage {
        requireOpen()
        return withContext(Dispatchers.Default) {
            val stretchers =
                listOfNotNull(network, saliency).map {
                    stretcher(photo.width, photo.height, it.metadata.imageSize, it.metadata.resize)
                }
            feed(photo, stretchers) { ensureActive() }
            val squares = stretchers.map(Stretcher::square)
            PreparedImage(this@Segmenter, photo.width, photo.height, squares[0], squares.getOrNull(1))
        }
    }

    override fun close() {
        if (closed.getAndSet(true)) return
        thread.execute {
            network.close()
            saliency?.close()
        }
        worker.close()
    }

    /** @param choose The number of the mask to show, from the logits and their order. */
    internal suspend fun predict(
        image: PreparedImage,
        prompt: Prompt,
        choose: (FloatArray, List<Int>) -> Int,
        isWanted: () -> Boolean,
    ): Prediction? =
        onWorker {
            if (isWanted()) infer(image, prompt, choose) else null
        }

    private fun infer(image: PreparedImage, prompt: Prompt, choose: (FloatArray, List<Int>) -> Int): Prediction {
        val metadata = network.metadata
        val counted = prompt.on(image.width, image.height).limitedTo(rules.maxClicks)
        if (packed !== image) {
            packer.writeImage(image.square)
            packed = image
        }
        packer.writePrompt(encodePrompt(counted, image.width, image.height, metadata.imageSize, rules))
        val outputs = metadata.outputs.map(TensorSpec::name).zip(network.run()).toMap()
        val logits = outputs["low_res_masks"]
        val ious = outputs["iou_predictions"]
        if (logits == null || ious == null) throw ArtifactException("'${metadata.preset}' returns no masks")
        val order = bestFirst(ious)
        return Prediction(image.width, image.height, metadata, logits, ious, order, choose(logits, order))
    }

    internal suspend fun clicks(image: PreparedImage): SaliencyClicks =
        onWorker {
            val square = image.saliencySquare
            if (saliency == null || saliencyPacker == null || square == null) {
                throw IllegalStateException("a mask without a prompt needs a saliency network: give one to Segmenter")
            }
            saliencyPacker.writeImage(square)
            val size = saliency.metadata.maskSize
            saliencyClicks(saliencyOf(saliencySteps(saliency.run().single())), size, size)
        }

    private suspend fun <T> onWorker(work: () -> T): T {
        requireOpen()
        return withContext(worker) {
            requireOpen()
            work()
        }
    }

    private fun requireOpen() {
        check(!closed.get()) { "the segmenter was closed" }
    }
}

/**
 * A photo that a [Segmenter] has taken: what belongs to it alone is computed once.
 *
 * @property width Of the photo, in pixels; prompts are in these.
 */
public class PreparedImage internal constructor(
    private val segmenter: Segmenter,
    public val width: Int,
    public val height: Int,
    internal val square: ByteArray,
    internal val saliencySquare: ByteArray?,
) {
    private val latest = AtomicInteger()
    private val starting = Mutex()
    private var clicks: SaliencyClicks? = null

    /**
     * Masks for a prompt; the one with the highest predicted IoU is chosen.
     *
     * A prompt that came while an earlier one waited or ran takes its place: the earlier call ends
     * with [SupersededException].
     *
     * @throws PromptException The prompt means nothing on this photo.
     * @throws IllegalStateException The segmenter was closed.
     */
    public suspend fun mask(prompt: Prompt): Prediction = mask(prompt) { _, _ -> 0 }

    /**
     * Masks of what is most salient, for a person who has not clicked yet.
     *
     * The network is given five clicks on the salient blob and the blob's box; of its masks the one
     * that covers the blob best is chosen.
     *
     * @throws IllegalStateException There is no saliency network, or the segmenter was closed.
     */
    public suspend fun mask(): Prediction {
        val found = salient()
        val metadata = segmenter.metadata
        val start = automaticPrompt().withBox(found.boxOn(width, height))
        return mask(start) { logits, order ->
            mostLikeBlob(logits, order, metadata.maskThreshold, found.blobOnGrid(metadata.maskSize))
        }
    }

    /**
     * The clicks that [mask] without a prompt starts from, without the blob's box: what a person's
     * own clicks are added to.
     */
    public suspend fun automaticPrompt(): Prompt = Prompt(salient().on(width, height).map { Click(it.x, it.y) })

    private suspend fun mask(prompt: Prompt, choose: (FloatArray, List<Int>) -> Int): Prediction {
        val ticket = latest.incrementAndGet()
        val isWanted = { ticket == latest.get() }
        val prediction = segmenter.predict(this, prompt, choose, isWanted) ?: throw SupersededException()
        if (!isWanted()) throw SupersededException()
        prediction.enlarge()
        return prediction
    }

    private suspend fun salient(): SaliencyClicks =
        starting.withLock { clicks ?: segmenter.clicks(this).also { clicks = it } }
}

/**
 * Masks of one prompt, the one with the highest predicted IoU first.
 *
 * @property iouPredictions What the network expects of each mask, highest first.
 * @property chosen The number of the mask to show: 0, but of an automatic start any.
 */
public class Prediction internal constructor(
    private val width: Int,
    private val height: Int,
    private val metadata: ArtifactMetadata,
    private val logits: FloatArray,
    ious: FloatArray,
    private val order: List<Int>,
    public val chosen: Int,
) {
    private var shown: Mask? = null

    public val iouPredictions: FloatArray = FloatArray(order.size) { ious[order[it]] }

    /** How many masks there are to choose from. */
    public val count: Int get() = order.size

    /** The mask that is [chosen], at the size of the photo. */
    public val mask: Mask get() = checkNotNull(shown)

    /** Mask number [index], at the size of the photo. */
    public suspend fun mask(index: Int): Mask =
        if (index == chosen) mask else withContext(Dispatchers.Default) { enlarged(index) }

    /** Its logits, maskSize x maskSize, as the network returned them. */
    public fun lowResMask(index: Int): FloatArray {
        val plane = metadata.maskSize * metadata.maskSize
        return logits.copyOfRange(order[index] * plane, (order[index] + 1) * plane)
    }

    internal suspend fun enlarge() {
        shown = withContext(Dispatchers.Default) { enlarged(chosen) }
    }

    private fun enlarged(index: Int) =
        enlargeMask(logits, metadata.maskSize, order[index], width, height, metadata.maskThreshold)
}
