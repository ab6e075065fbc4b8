package io.github.sqsamdeploy.benchmark

import io.github.sqsamdeploy.Backend
import io.github.sqsamdeploy.BackendFactory
import io.github.sqsamdeploy.StoredModel
import java.io.File
import kotlin.math.ceil
import kotlin.math.max

/** What the system says of the phone and of its state. */
interface Phone {
    /** The device as `sqsam_deploy/benchmark/result.py` describes one. */
    fun device(name: String?): Map<String, Any?>

    /** "nominal", "fair", "serious" or "critical". */
    val thermalState: String

    val savesPower: Boolean

    /** Resident memory of this process in bytes. */
    val residentMemory: Long

    /** "release" or "debug". */
    val build: String

    /** Of the runtimes. */
    val versions: Map<String, String>
}

/** One turn of one row: load, first inference, warm-up, and samples of the steady state. */
class Turn(
    val load: Double,
    val first: Double,
    val warmUp: List<Double>,
    val samples: List<Double>,
    val memory: Map<String, Long>,
    val thermal: List<String>,
    val savedPower: Boolean,
)

/**
 * Takes a turn: the artifact is loaded anew and let go at the end, so that no row holds memory while
 * another is measured. Inputs are put in place between inferences, outside of what is timed.
 */
fun takeTurn(
    artifact: PlannedArtifact,
    plan: Plan,
    factory: BackendFactory,
    phone: Phone,
    warmUp: Int,
): Turn {
    val feeds = artifact.feeds.map { files -> readFeeds(artifact, files, plan.folder) }
    val model = StoredModel(File(plan.folder, artifact.name))
    val thermalBefore = phone.thermalState
    val before = phone.residentMemory
    lateinit var backend: Backend
    val load = milliseconds { backend = factory.open(model, artifact.inputs, artifact.outputs, null) }
    return backend.use {
        val loaded = phone.residentMemory
        var peak = loaded
        val inference = { photo: Int ->
            backend.inputs.zip(feeds[photo % feeds.size]) { buffer, bytes ->
                buffer.rewind()
                buffer.put(bytes)
                buffer.rewind()
            }
            val time = milliseconds { backend.run() }
            peak = max(peak, phone.residentMemory)
            time
        }
        val first = inference(0)
        val warming = List(warmUp, inference)
        val discarded = List(plan.discarded, inference)
        val samples = List(turnLength(discarded.lastOrNull() ?: first, plan.turnMs), inference)
        Turn(
            load = load,
            first = first,
            warmUp = warming,
            samples = samples,
            memory = mapOf("before" to before, "loaded" to max(loaded - before, 0), "peak" to peak),
            thermal = listOf(thermalBefore, phone.thermalState),
            savedPower = phone.savesPower,
        )
    }
}

private fun readFeeds(artifact: PlannedArtifact, files: List<String>, folder: File): List<ByteArray> =
    artifact.inputs.zip(files) { input, path ->
        val bytes = File(folder, path).readBytes()
        check(bytes.size == input.bytes) { "$path has ${bytes.size} bytes, which is not ${input.name}" }
        bytes
    }

/** Inferences of a turn that lasts about so long: at least 2, at most 50, as on other machines. */
private fun turnLength(inference: Double, turn: Double) = ceil(turn / max(inference, 0.001)).toInt().coerceIn(2, 50)

private fun milliseconds(work: () -> Unit): Double {
    val start = System.nanoTime()
    work()
    return (System.nanoTime() - start) / 1e6
}
