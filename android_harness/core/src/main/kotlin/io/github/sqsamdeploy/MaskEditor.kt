package io.github.sqsamdeploy

import kotlinx.coroutines.CancellationException
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Job
import kotlinx.coroutines.flow.MutableStateFlow
import kotlinx.coroutines.flow.StateFlow
import kotlinx.coroutines.flow.asStateFlow
import kotlinx.coroutines.flow.update
import kotlinx.coroutines.launch

/**
 * What a person sees while they cut an object out.
 *
 * @property prompt What they have said so far.
 * @property prediction The masks for an earlier or this prompt; null before the first.
 * @property chosen The number of the mask that is shown.
 * @property mask That mask.
 * @property isWorking Whether masks for [prompt] are still being made.
 * @property problem Why the last thing they did had no effect, for developers; null where it had.
 */
public data class EditorState(
    val prompt: Prompt = Prompt(),
    val prediction: Prediction? = null,
    val chosen: Int = 0,
    val mask: Mask? = null,
    val isWorking: Boolean = false,
    val problem: String? = null,
    val canUndo: Boolean = false,
)

/**
 * A person's clicks on one photo, and the masks that follow from them.
 *
 * Every method returns at once and is called on one thread, such as the main thread; masks come
 * through [state].
 *
 * @param scope In which masks are waited for; its end is the editor's.
 */
public class MaskEditor(private val image: PreparedImage, private val scope: CoroutineScope) {
    private val current = MutableStateFlow(EditorState())
    private val history = ArrayDeque<Step>()
    private var step = Step(Prompt())
    private var automatic = emptySet<Click>()
    private var job: Job? = null

    public val state: StateFlow<EditorState> = current.asStateFlow()

    /** Width and height of the photo, in whose pixels all coordinates are. */
    public val size: Pair<Int, Int> get() = image.width to image.height

    /** Begins with what is most salient; undo leads back to what was before. */
    public fun start() {
        work {
            val prompt = image.automaticPrompt()
            automatic = prompt.clicks.toSet()
            history.addLast(step)
            step = Step(prompt, isStart = true)
            current.update { it.copy(prompt = prompt, canUndo = true) }
            image.mask()
        }
    }

    /** A click on what belongs to the object. */
    public fun include(x: Float, y: Float) {
        change(step.prompt.withClick(x, y))
    }

    /** A click on what does not belong to it. */
    public fun exclude(x: Float, y: Float) {
        change(step.prompt.withClick(x, y, Label.BACKGROUND))
    }

    /** A box around the object; it replaces an earlier one, and the clicks of an automatic start. */
    public fun box(box: Box) {
        change(Prompt(step.prompt.clicks.filter { it !in automatic }, box))
    }

    /** Takes the last click, box or start back. */
    public fun undo() {
        show(history.removeLastOrNull() ?: return)
    }

    /** Takes everything back. */
    public fun clear() {
        if (step.prompt != Prompt()) change(Prompt())
    }

    /** Shows another of the masks. */
    public fun choose(index: Int) {
        val prediction = current.value.prediction ?: return
        if (index !in 0 until prediction.count) return
        scope.launch {
            val mask = prediction.mask(index)
            current.update { if (it.prediction === prediction) it.copy(chosen = index, mask = mask) else it }
        }
    }

    private fun change(prompt: Prompt) {
        history.addLast(step)
        show(Step(prompt))
    }

    private fun show(next: Step) {
        job?.cancel()
        step = next
        if (next.prompt == Prompt()) {
            current.value = EditorState(canUndo = history.isNotEmpty())
            return
        }
        current.update { it.copy(prompt = next.prompt, canUndo = history.isNotEmpty()) }
        work { if (next.isStart) image.mask() else image.mask(next.prompt) }
    }

    private fun work(predict: suspend () -> Prediction) {
        job?.cancel()
        current.update { it.copy(isWorking = true, problem = null) }
        job =
            scope.launch {
                try {
                    val made = predict()
                    current.update {
                        it.copy(prediction = made, chosen = made.chosen, mask = made.mask, isWorking = false)
                    }
                } catch (error: CancellationException) {
                    throw error
                } catch (error: Exception) {
                    current.update { it.copy(isWorking = false, problem = error.message) }
                }
            }
    }

    /** A prompt, and whether it is that of an automatic start, which has the blob's box besides. */
    private data class Step(val prompt: Prompt, val isStart: Boolean = false)
}

/**
 * Where a photo lies in a view that shows it whole, as large as it fits and in the middle.
 *
 * @property scale View pixels for one photo pixel.
 */
public data class Fit(
    private val viewWidth: Float,
    private val viewHeight: Float,
    private val photoWidth: Int,
    private val photoHeight: Int,
) {
    val scale: Float = minOf(viewWidth / photoWidth, viewHeight / photoHeight)
    val left: Float = (viewWidth - photoWidth * scale) / 2
    val top: Float = (viewHeight - photoHeight * scale) / 2
    val shownWidth: Float = photoWidth * scale
    val shownHeight: Float = photoHeight * scale

    /** A point of the view in pixels of the photo, pixel centers at whole numbers. */
    public fun toPhoto(x: Float, y: Float): Point = Point((x - left) / scale - 0.5f, (y - top) / scale - 0.5f)

    /** A point of the photo in the view. */
    public fun toView(x: Float, y: Float): Point = Point((x + 0.5f) * scale + left, (y + 0.5f) * scale + top)
}
