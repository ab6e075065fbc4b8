package io.github.sqsamdeploy.benchmark

import io.github.sqsamdeploy.ArtifactException
import io.github.sqsamdeploy.Backend
import io.github.sqsamdeploy.BackendFactory
import io.github.sqsamdeploy.ModelFile
import io.github.sqsamdeploy.TensorSpec
import io.github.sqsamdeploy.directBuffers
import java.io.File
import java.nio.ByteBuffer

/** A phone that is none: the suite runs on any machine with it. */
class StandInPhone : Phone {
    override fun device(name: String?): Map<String, Any?> =
        mapOf(
            "kind" to "android",
            "name" to (name ?: "Example Phone"),
            "model" to "Example (example, SoC)",
            "system" to "Android 16 (API 36)",
            "cores" to 8,
            "memory" to 8L * (1 shl 30),
            "features" to listOf("DotProd"),
            "virtual" to false,
        )

    override val thermalState: String get() = "nominal"
    override val savesPower: Boolean get() = false
    override val residentMemory: Long get() = 100_000_000
    override val build: String get() = "release"
    override val versions: Map<String, String> get() = mapOf("android_harness" to "1")
}

/** A runtime that reads its inputs for about half a millisecond, or that cannot load anything. */
class StandInRuntime(override val runtime: String, private val broken: Boolean = false) : BackendFactory {
    val open = mutableListOf<StandInBackend>()

    /** What the first bytes of each input were, at each inference. */
    val seen = mutableListOf<List<Byte>>()

    override fun open(
        model: ModelFile,
        inputs: List<TensorSpec>,
        outputs: List<TensorSpec>,
        threads: Int?,
    ): Backend {
        if (broken) throw ArtifactException("${model.name} cannot be loaded by a stand-in")
        check(model.map().remaining() > 0)
        return StandInBackend(directBuffers(inputs)).also { open += it }
    }

    inner class StandInBackend(override val inputs: List<ByteBuffer>) : Backend {
        override fun run(): List<FloatArray> {
            seen += inputs.map { it.get(0) }
            val end = System.nanoTime() + 500_000 + (Math.random() * 200_000).toLong()
            while (System.nanoTime() < end) Thread.onSpinWait()
            return emptyList()
        }

        override fun close() {
            open -= this
        }
    }
}

/** `PLAN_FOLDER RESULT RUNTIME...`: the suite on this machine, for the tests of `sqsam-bench import`. */
fun main(arguments: Array<String>) {
    val (folder, result) = arguments
    val runtimes = arguments.drop(2).map { StandInRuntime(it.removeSuffix("!"), broken = it.endsWith("!")) }
    Suite(Plan.read(File(folder)), runtimes, StandInPhone(), ::println).run(File(result))
}
