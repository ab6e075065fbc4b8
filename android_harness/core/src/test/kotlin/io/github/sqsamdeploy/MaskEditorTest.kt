package io.github.sqsamdeploy

import kotlin.test.assertEquals
import kotlin.test.assertFalse
import kotlin.test.assertNotNull
import kotlin.test.assertNull
import kotlin.test.assertTrue
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.runBlocking
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.Timeout

@Timeout(20)
class MaskEditorTest {
    private val network = FakeBackend(segmentation()) { leftHalf() }
    private val saliency = FakeBackend(saliency()) { listOf(FloatArray(16) { if (it == 5) 9f else -9f }) }

    private fun edit(test: suspend CoroutineScope.(MaskEditor) -> Unit) = runBlocking {
        Segmenter(Network(segmentation(), network), Network(saliency(), saliency)).use { segmenter ->
            test(MaskEditor(segmenter.image(plainPhoto()), this))
        }
    }

    private suspend fun MaskEditor.settled() = state.first { !it.isWorking }

    @Test
    fun `clicks add up, and undo takes them back one by one`() = edit { editor ->
        editor.include(3f, 4f)
        assertTrue(editor.state.value.isWorking)
        editor.exclude(15f, 4f)
        assertEquals(listOf(1f, 0f), editor.settled().prompt.clicks.map { it.label.value.toFloat() })
        editor.undo()
        assertEquals(listOf(Click(3f, 4f)), editor.settled().prompt.clicks)
        editor.undo()
        val state = editor.settled()
        assertEquals(Prompt(), state.prompt)
        assertNull(state.mask)
        assertFalse(state.canUndo)
    }

    @Test
    fun `the automatic start comes first, and corrections are added to its clicks without its box`() = edit { editor ->
        editor.start()
        val start = editor.settled()
        assertEquals(5, start.prompt.clicks.size)
        assertNotNull(start.mask)
        editor.exclude(1f, 1f)
        editor.settled()
        assertEquals(listOf(2f, 3f), network.prompts.first().subList(5, 7))
        assertEquals(listOf(1f, 1f, 1f, 1f, 1f, 0f, -1f, -1f), network.prompts.last())
        editor.undo()
        editor.settled()
        assertEquals(listOf(2f, 3f), network.prompts.last().subList(5, 7))
    }

    @Test
    fun `a box that a person draws stands alone`() = edit { editor ->
        editor.start()
        editor.settled()
        editor.include(2f, 2f)
        editor.box(Box(1f, 1f, 9f, 9f))
        assertEquals(Prompt(listOf(Click(2f, 2f)), Box(1f, 1f, 9f, 9f)), editor.settled().prompt)
    }

    @Test
    fun `another of the masks can be shown`() = edit { editor ->
        editor.include(3f, 4f)
        editor.settled()
        editor.choose(1)
        assertEquals(0, editor.state.first { it.chosen == 1 }.mask!!.area)
        editor.choose(7)
        assertEquals(1, editor.state.value.chosen)
    }

    @Test
    fun `what means nothing leaves a problem and the last mask`() = edit { editor ->
        editor.include(3f, 4f)
        val before = editor.settled().mask
        editor.include(300f, 4f)
        val state = editor.settled()
        assertTrue("far outside" in state.problem!!)
        assertEquals(before, state.mask)
    }

    @Test
    fun `a photo is shown whole in the middle of a view`() {
        val wide = Fit(200f, 200f, 400, 100)
        assertEquals(0.5f, wide.scale)
        assertEquals(75f, wide.top)
        assertEquals(0f, wide.left)
        assertEquals(Point(-0.5f, -0.5f), wide.toPhoto(0f, 75f))
        assertEquals(Point(199.5f, 49.5f), wide.toPhoto(100f, 100f))
        val tall = Fit(300f, 200f, 100, 300)
        assertEquals(Point(100f + 100f / 3, 0f).x, tall.toView(49.5f, 0f).x + 100f / 3 - 50f, 0.01f)
        val back = tall.toPhoto(tall.toView(12f, 34f).x, tall.toView(12f, 34f).y)
        assertEquals(12f, back.x, 1e-3f)
        assertEquals(34f, back.y, 1e-3f)
    }
}
