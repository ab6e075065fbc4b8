package io.github.sqsamdeploy

import java.util.concurrent.CountDownLatch
import kotlin.test.assertContentEquals
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertFalse
import kotlin.test.assertTrue
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.CoroutineStart
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.async
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.supervisorScope
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.Timeout

@Timeout(20)
class SegmenterTest {
    private val click = Prompt().withClick(3f, 4f)

    private fun opened(backend: FakeBackend, saliency: FakeBackend? = null) =
        Segmenter(Network(segmentation(), backend), saliency?.let { Network(saliency(), it) })

    @Test
    fun `the mask with the highest predicted IoU comes first`() = runBlocking {
        opened(FakeBackend(segmentation()) { leftHalf() }).use { segmenter ->
            val prediction = segmenter.image(plainPhoto()).mask(click)
            assertContentEquals(floatArrayOf(0.9f, 0.2f), prediction.iouPredictions)
            assertEquals(100, prediction.mask.area)
            assertTrue(prediction.mask[9, 5])
            assertFalse(prediction.mask[10, 5])
            assertEquals(0, prediction.mask(1).area)
            assertEquals(5f, prediction.lowResMask(0)[0])
        }
    }

    @Test
    fun `a photo is read once however many prompts there are`() = runBlocking {
        val rows = mutableListOf<Int>()
        val photo =
            object : Photo by plainPhoto() {
                override fun readRow(y: Int, rgb: ByteArray) {
                    rows += y
                }
            }
        val saliency = FakeBackend(saliency()) { listOf(FloatArray(16) { if (it == 5) 9f else -9f }) }
        opened(FakeBackend(segmentation()) { leftHalf() }, saliency).use { segmenter ->
            val image = segmenter.image(photo)
            image.mask()
            image.mask(image.automaticPrompt().withClick(1f, 1f, Label.BACKGROUND))
            image.mask()
        }
        assertEquals((0 until 10).toList(), rows)
        assertEquals(1, saliency.runs)
    }

    @Test
    fun `without a prompt the salient blob is clicked`() = runBlocking {
        val saliency = FakeBackend(saliency()) { listOf(FloatArray(16) { if (it == 5) 9f else -9f }) }
        opened(FakeBackend(segmentation()) { leftHalf() }, saliency).use { segmenter ->
            val prompt = segmenter.image(plainPhoto()).automaticPrompt()
            assertEquals(5, prompt.clicks.size)
            // Pixel (1, 1) of a 4x4 map on a photo of 20x10: its center is (1.5 * 5 - 0.5, 1.5 * 2.5 - 0.5).
            assertEquals(Click(7f, 3.25f), prompt.clicks.first())
        }
    }

    @Test
    fun `an automatic start gives the blob's box and shows the mask that covers the blob best`() = runBlocking {
        val saliency = FakeBackend(saliency()) { listOf(FloatArray(16) { if (it == 5) 9f else -9f }) }
        // The mask with the lower predicted IoU is the blob itself.
        val network =
            FakeBackend(segmentation()) {
                listOf(FloatArray(32) { if (it == 5 || it >= 16) 5f else -5f }, floatArrayOf(0.2f, 0.9f))
            }
        opened(network, saliency).use { segmenter ->
            val image = segmenter.image(plainPhoto())
            val prediction = image.mask()
            assertEquals(listOf(1f, 1f, 1f, 1f, 1f, 2f, 3f, -1f), network.prompts.single())
            assertEquals(1, prediction.chosen)
            assertEquals(0.9f, prediction.iouPredictions.first())
            assertTrue(prediction.mask.area in 1..99)
            assertEquals(200, prediction.mask(0).area)
            assertEquals(0, image.mask(image.automaticPrompt().withClick(1f, 1f)).chosen)
        }
        assertEquals(listOf(1f, 1f, 1f, 1f, 1f, 1f, -1f, -1f), network.prompts.last())
    }

    @Test
    fun `a waiting prompt gives way to a later one`() = runBlocking {
        val gate = CountDownLatch(1)
        val backend = FakeBackend(segmentation(), gate) { leftHalf() }
        opened(backend).use { segmenter ->
            val image = segmenter.image(plainPhoto())
            supervisorScope {
                val running = begun { image.mask(click) }
                backend.started.await()
                val waiting = begun { image.mask(click.withClick(1f, 1f)) }
                val last = begun { image.mask(Prompt().withClick(2f, 2f, Label.BACKGROUND)) }
                gate.countDown()
                assertFailsWith<SupersededException> { running.await() }
                assertFailsWith<SupersededException> { waiting.await() }
                assertEquals(2, last.await().count)
            }
        }
        // The one that ran and the last one; the one between them never reached the network.
        assertEquals(listOf(1f, 0f), backend.prompts.map { it.first() })
    }

    /** A call that has taken its place among the others when this returns. */
    private fun <T> CoroutineScope.begun(call: suspend () -> T) =
        async(Dispatchers.Unconfined, CoroutineStart.UNDISPATCHED) { call() }

    @Test
    fun `prompts on different photos do not supersede each other`() = runBlocking {
        opened(FakeBackend(segmentation()) { leftHalf() }).use { segmenter ->
            val images = List(4) { segmenter.image(plainPhoto(10 + it, 10)) }
            val masks = images.map { async { it.mask(click).mask } }.map { it.await() }
            assertEquals(listOf(10, 11, 12, 13), masks.map(Mask::width))
        }
    }

    @Test
    fun `closing waits for the inference that runs, and using it afterwards is an exception`() = runBlocking {
        val gate = CountDownLatch(1)
        val backend = FakeBackend(segmentation(), gate) { leftHalf() }
        val segmenter = opened(backend)
        val image = segmenter.image(plainPhoto())
        supervisorScope {
            val running = begun { image.mask(click) }
            backend.started.await()
            segmenter.close()
            segmenter.close()
            assertFalse(backend.closed)
            gate.countDown()
            running.await()
        }
        while (!backend.closed) Thread.sleep(1)
        assertFailsWith<IllegalStateException> { image.mask(click) }
        assertFailsWith<IllegalStateException> { segmenter.image(plainPhoto()) }
        assertEquals(1, backend.runs)
    }

    @Test
    fun `pixels and prompt reach the network as its metadata declare`() = runBlocking {
        lateinit var pixels: ByteArray
        lateinit var labels: FloatArray
        val backend =
            FakeBackend(segmentation()) { inputs ->
                pixels = ByteArray(320).also { inputs[0].duplicate().get(it) }
                labels = FloatArray(8) { inputs[2].asFloatBuffer().get(it) }
                leftHalf()
            }
        opened(backend).use { segmenter ->
            segmenter.image(plainPhoto()).mask(Prompt().withClick(0f, 0f).withBox(Box(0f, 0f, 19f, 9f)))
        }
        // 100 - 128, clicks marked (255 - 128), inside the box (255 - 128).
        assertContentEquals(byteArrayOf(-28, -28, -28, 127, 127), pixels.copyOf(5))
        assertContentEquals(floatArrayOf(1f, 2f, 3f, -1f, -1f, -1f, -1f, -1f), labels)
    }

    @Test
    fun `more clicks than the network takes count as the first and the latest`() = runBlocking {
        val backend = FakeBackend(segmentation()) { leftHalf() }
        opened(backend).use { segmenter ->
            val labels = listOf(1, 0, 1, 0, 0, 0, 0, 1)
            val prompt = labels.fold(Prompt()) { all, it -> all.withClick(5f, 5f, Label.entries[it]) }
            segmenter.image(plainPhoto()).mask(prompt)
        }
        assertEquals(listOf(1f, 0f, 0f, 0f, 0f, 1f, -1f, -1f), backend.prompts.single())
    }

    @Test
    fun `outputs that are not finite or too few are refused`() = runBlocking<Unit> {
        val answers = listOf(listOf(FloatArray(32) { Float.NaN }, FloatArray(2)), listOf(FloatArray(31), FloatArray(2)))
        for (answer in answers) {
            opened(FakeBackend(segmentation()) { answer }).use { segmenter ->
                val image = segmenter.image(plainPhoto())
                assertFailsWith<ArtifactException> { image.mask(click) }
            }
        }
    }

    @Test
    fun `without a saliency network there is no automatic start`() = runBlocking<Unit> {
        opened(FakeBackend(segmentation()) { leftHalf() }).use { segmenter ->
            val image = segmenter.image(plainPhoto())
            assertFailsWith<IllegalStateException> { image.mask() }
        }
    }

    @Test
    fun `a saliency network in the place of the segmentation network is refused`() {
        assertFailsWith<ArtifactException> {
            Segmenter(Network(saliency(), FakeBackend(saliency()) { emptyList() }))
        }
    }

    @Test
    fun `an artifact of another runtime is refused by name`() {
        val factory =
            object : BackendFactory {
                override val runtime = "litert"

                override fun open(
                    model: ModelFile,
                    inputs: List<TensorSpec>,
                    outputs: List<TensorSpec>,
                    threads: Int?,
                ): Backend = error("must not be opened")
            }
        val error =
            assertFailsWith<ArtifactException> {
                Network.open(factory, segmentation(), StoredModel(java.io.File("nano-int8.fake")))
            }
        assertTrue("nano-int8.fake" in error.message!!)
    }
}
