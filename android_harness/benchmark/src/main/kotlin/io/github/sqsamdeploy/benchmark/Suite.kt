package io.github.sqsamdeploy.benchmark

import io.github.sqsamdeploy.BackendFactory
import java.io.File
import java.security.DigestInputStream
import java.security.MessageDigest
import java.time.Instant
import java.time.temporal.ChronoUnit
import java.util.Locale
import org.json.JSONArray
import org.json.JSONObject

/** All rows, turn by turn: what slows the phone for a while slows all of them. */
class Suite(
    private val plan: Plan,
    factories: List<BackendFactory>,
    private val phone: Phone,
    private val say: (String) -> Unit,
) {
    private val factories = factories.associateBy { it.runtime }
    private val failures = mutableListOf<Map<String, Any?>>()

    /** Measures, and writes the result whole; a row that fails keeps its reason and ends no other. */
    fun run(target: File) {
        target.delete()
        val rows = plan.artifacts.flatMap { artifact -> artifact.compute.map { Row(artifact, it) } }.toMutableList()
        val total = rows.size * plan.rounds
        var turn = 0
        repeat(plan.rounds) {
            for (row in rows.shuffled()) {
                turn += 1
                val told =
                    try {
                        take(row)
                    } catch (error: Throwable) {
                        // Out of memory and a missing native library end a row too, not the run.
                        fail(row, error)
                        rows.remove(row)
                        "${error.message ?: error}"
                    }
                say("turn $turn/$total: ${row.artifact.name} ${row.compute} $told")
            }
        }
        write(result(rows), target)
    }

    /** One turn; its median, for whoever watches. */
    private fun take(row: Row): String {
        val artifact = row.artifact
        val factory = checkNotNull(factories[artifact.runtime]) { "the app does not run ${artifact.runtime}" }
        val taken = takeTurn(artifact, plan, factory, phone, if (row.turns.isEmpty()) plan.warmUp else 0)
        row.turns += taken
        return String.format(Locale.ROOT, "%.2f ms", taken.samples.sorted()[taken.samples.size / 2])
    }

    private fun fail(row: Row, error: Throwable) {
        failures += mapOf(
            "subject" to row.artifact.name,
            "setup" to row.compute,
            "reason" to (error.message ?: error.toString()),
        )
    }

    private fun result(rows: List<Row>) =
        mapOf(
            "result_version" to RESULT_VERSION,
            "created" to Instant.now().truncatedTo(ChronoUnit.SECONDS).toString(),
            "tool" to "android_harness 1",
            "device" to phone.device(plan.deviceName),
            "environment" to mapOf("build" to phone.build, "versions" to phone.versions),
            "method" to
                mapOf(
                    "rounds" to plan.rounds,
                    "processes" to 1,
                    "turn_ms" to plan.turnMs,
                    "discarded" to plan.discarded,
                    "images" to plan.imageSizes.size,
                    "image_sizes" to plan.imageSizes,
                    "interleaved" to true,
                    "notes" to NOTES,
                ),
            "measurements" to rows.map { it.measurement(File(plan.folder, it.artifact.name)) },
            "not_measured" to failures,
        )

    private fun write(result: Map<String, Any?>, target: File) {
        val partial = File(target.path + ".partial")
        partial.writeText(json(result).toString())
        check(partial.renameTo(target)) { "$target cannot be written" }
    }

    private companion object {
        const val RESULT_VERSION = 2
        val NOTES =
            listOf(
                "all rows ran in one process; every turn loads its artifact anew and lets it go",
                "memory is the process's resident memory (VmRSS)",
                "inputs were prepared beforehand: pre- and post-processing are not part of any row",
            )
    }
}

/** One artifact run in one way, and what its turns have shown so far. */
private class Row(val artifact: PlannedArtifact, val compute: String) {
    val turns = mutableListOf<Turn>()

    fun measurement(file: File): Map<String, Any?> =
        mapOf(
            "subject" to
                mapOf(
                    "name" to artifact.name,
                    "role" to "artifact",
                    "runtime" to artifact.runtime,
                    "precision" to artifact.precision,
                    "preset" to artifact.preset,
                    "sha256" to sha256(file),
                    "bytes" to artifact.bytes,
                ),
            "setup" to mapOf("compute" to compute),
            "load" to turns.map { it.load },
            "first" to turns.map { it.first },
            "warm_up" to turns.flatMap { it.warmUp },
            "stages" to mapOf("inference" to mapOf("rounds" to turns.map { it.samples })),
            "memory" to turns.map { it.memory },
            "thermal" to turns.flatMap { it.thermal },
            "low_power" to turns.any { it.savedPower },
        )
}

private fun sha256(file: File): String {
    val digest = MessageDigest.getInstance("SHA-256")
    DigestInputStream(file.inputStream(), digest).use { source ->
        val block = ByteArray(1 shl 20)
        while (source.read(block) >= 0) continue
    }
    return digest.digest().joinToString("") { "%02x".format(it) }
}

/** Maps and lists, as deep as they go; Android's own wrapping leaves lists within lists as text. */
private fun json(value: Any?): Any =
    when (value) {
        null -> JSONObject.NULL
        is Map<*, *> -> JSONObject().also { target -> value.forEach { (key, item) -> target.put("$key", json(item)) } }
        is List<*> -> JSONArray().also { target -> value.forEach { target.put(json(it)) } }
        else -> value
    }
