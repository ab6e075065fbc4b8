package io.github.sqsamdeploy

import java.io.File
import java.nio.ByteBuffer
import java.nio.ByteOrder
import kotlin.test.assertEquals
import kotlin.test.assertTrue
import kotlinx.coroutines.runBlocking
import org.junit.jupiter.api.Assumptions.assumeTrue
import org.junit.jupiter.api.DynamicTest
import org.junit.jupiter.api.TestFactory

/**
 * From a photo and a prompt to a mask with a real network, which another program runs.
 *
 * `sqsam.network` is its command, up to the artifact's path, and `sqsam.artifacts` the folder of the
 * artifacts that the vectors were made with; without them there is nothing to run.
 */
class EndToEndTest {
    private val command = System.getProperty("sqsam.network")
    private val folder = System.getProperty("sqsam.artifacts")

    @TestFactory
    fun endToEnd(): List<DynamicTest> {
        assumeTrue(command != null && folder != null, "no program runs the networks")
        return Vectors.tests("end_to_end") { case ->
            val metadata = ArtifactMetadata.parse(case.getString("metadata"), "it")
            val ending = if (metadata.runtime == "executorch") "pte" else metadata.runtime
            val artifact = File(folder, "${metadata.preset}-${metadata.precision}.$ending")
            val expected = case.getJSONObject("expected")
            val tolerance = expected.getDouble("tolerance").toFloat()
            Segmenter(Network(metadata, ProgramBackend(command.split(" "), artifact, metadata))).use { segmenter ->
                val prompt =
                    Prompt.of(
                        case.getJSONArray("point_coords").flat(),
                        case.getJSONArray("point_labels").ints(),
                        case.optJSONArray("box")?.floats(),
                    )
                val found = runBlocking { segmenter.image(case.getJSONObject("image").image()).mask(prompt) }
                val ious = expected.getJSONArray("iou_predictions").floats().sortedDescending()
                ious.zip(found.iouPredictions.toList()) { a, b -> assertEquals(a, b, tolerance) }
                assertLogits(expected.getJSONObject("logits").floatArray(), found.lowResMask(0), metadata, tolerance)
                val overlap = overlap(expected.getJSONObject("mask").bytes(), found.mask.pixels)
                assertTrue(overlap >= expected.getDouble("min_mask_iou"), "IoU $overlap")
            }
        }
    }

    private fun assertLogits(expected: FloatArray, found: FloatArray, metadata: ArtifactMetadata, tolerance: Float) {
        val size = metadata.maskSize
        val every4th = (0 until size step 4).flatMap { y -> (0 until size step 4).map { x -> found[y * size + x] } }
        assertEquals(expected.size, every4th.size)
        expected.forEachIndexed { index, value -> assertEquals(value, every4th[index], tolerance) }
    }

    private fun overlap(a: ByteArray, b: ByteArray): Double {
        val both = a.indices.count { a[it] != 0.toByte() && b[it] != 0.toByte() }
        return both.toDouble() / a.indices.count { a[it] != 0.toByte() || b[it] != 0.toByte() }
    }
}

/** A network in another process, which reads its inputs and writes its outputs as they are. */
private class ProgramBackend(command: List<String>, artifact: File, private val metadata: ArtifactMetadata) : Backend {
    override val inputs: List<ByteBuffer> = directBuffers(metadata.inputs)
    private val process =
        ProcessBuilder(command + artifact.path).redirectError(ProcessBuilder.Redirect.INHERIT).start()

    override fun run(): List<FloatArray> {
        for (input in inputs) {
            process.outputStream.write(ByteArray(input.capacity()).also { input.duplicate().rewind().get(it) })
        }
        process.outputStream.flush()
        return metadata.outputs.map { spec ->
            val bytes = process.inputStream.readNBytes(spec.bytes)
            check(bytes.size == spec.bytes) { "the program ended" }
            ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).asFloats()
        }
    }

    override fun close() {
        process.outputStream.close()
        process.waitFor()
    }
}
