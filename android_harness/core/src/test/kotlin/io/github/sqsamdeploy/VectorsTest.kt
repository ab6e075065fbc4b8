package io.github.sqsamdeploy

import kotlin.test.assertContentEquals
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertTrue
import org.json.JSONObject
import org.junit.jupiter.api.DynamicTest
import org.junit.jupiter.api.TestFactory

/** The rules that Python, Swift and JavaScript follow too, against the same files. */
class VectorsTest {
    @TestFactory
    fun metadata(): List<DynamicTest> =
        Vectors.tests("metadata") { case ->
            val text = case.getString("json")
            if (case.has("error")) {
                assertFailsWith<ArtifactException> { ArtifactMetadata.parse(text, "it") }
            } else {
                assertMetadata(case.getJSONObject("expected"), ArtifactMetadata.parse(text, "it"))
            }
        }

    private fun assertMetadata(expected: JSONObject, found: ArtifactMetadata) {
        assertEquals(expected.getString("preset"), found.preset)
        assertEquals(expected.getString("task").uppercase(), found.task.name)
        assertEquals(expected.getInt("image_size"), found.imageSize)
        assertEquals(expected.getInt("mask_size"), found.maskSize)
        assertEquals(expected.getString("resize").uppercase().replace('-', '_'), found.resize.name)
        assertEquals(expected.getDouble("mask_threshold").toFloat(), found.maskThreshold)
        assertEquals(expected.optJSONObject("prompts")?.let { rulesOf(it) }, found.prompts)
        assertEquals(tensorSpecs(expected.getJSONArray("inputs")), found.inputs)
        assertEquals(tensorSpecs(expected.getJSONArray("outputs")), found.outputs)
    }

    @TestFactory
    fun resize(): List<DynamicTest> =
        Vectors.tests("resize") { case ->
            val resize = Resize.valueOf(case.getString("resize").uppercase().replace('-', '_'))
            val square = stretch(case.getJSONObject("image").image(), case.getInt("size"), resize)
            assertArray(case.getJSONObject("expected"), square)
        }

    @TestFactory
    fun prompts(): List<DynamicTest> =
        Vectors.tests("prompts") { case ->
            val encode = {
                val (height, width) = case.getJSONArray("image_hw").ints().toList()
                val rules = case.getJSONObject("rules")
                val limited = promptOf(case).on(width, height).limitedTo(rules.getInt("max_clicks"))
                encodePrompt(limited, width, height, rules.getInt("image_size"), rulesOf(rules))
            }
            if (case.has("error")) {
                assertFailsWith<PromptException> { encode() }
            } else {
                assertEncoded(case.getJSONObject("expected"), encode())
            }
        }

    private fun assertEncoded(expected: JSONObject, found: EncodedPrompt) {
        assertContentEquals(expected.getJSONArray("point_coords").flat(), found.pointCoords)
        assertContentEquals(expected.getJSONArray("point_labels").floats(), found.pointLabels)
        val plane = found.maps.size / 2
        val marked = List(2) { map -> (map * plane until (map + 1) * plane).count { found.maps[it] == (-1).toByte() } }
        assertEquals(expected.getJSONArray("marked").ints().toList(), marked)
        assertTrue(expected.getJSONObject("prompt_maps").isHashOf(found.maps), "the maps differ")
    }

    @TestFactory
    fun packing(): List<DynamicTest> =
        Vectors.tests("packing") { case ->
            val expected = case.getJSONObject("expected")
            val specs = expected.keys().asSequence().map { "$it" }.map { specOf(it, expected.getJSONObject(it)) }.toList()
            val buffers = directBuffers(specs)
            val packer = InputPacker(specs, buffers)
            packer.writeImage(case.getJSONObject("image").image().pixels)
            packer.writePrompt(EncodedPrompt(case.getJSONObject("prompt_maps").bytes(), FloatArray(0), FloatArray(0)))
            specs.zip(buffers).forEach { (spec, buffer) ->
                val bytes = ByteArray(spec.bytes).also { buffer.duplicate().get(it) }
                assertContentEquals(expected.getJSONObject(spec.name).bytes(), bytes, spec.name)
            }
        }

    /** What metadata would declare for an input with these values. */
    private fun specOf(name: String, array: JSONObject): TensorSpec {
        val type = ElementType.valueOf(array.getString("dtype").uppercase())
        return TensorSpec(name, type, array.shape(), if (type == ElementType.FLOAT32) "NCHW" else "NHWC")
    }

    @TestFactory
    fun saliency(): List<DynamicTest> =
        Vectors.tests("saliency") { case ->
            val expected = case.getJSONObject("expected")
            val given = case.optJSONObject("map") ?: case.getJSONObject("logits")
            val (height, width) = given.shape()
            val map =
                if (case.has("map")) {
                    given.floatArray()
                } else {
                    val steps = saliencySteps(given.floatArray())
                    assertContentEquals(
                        expected.getJSONObject("steps").bytes().map { it.toInt() and 0xFF }.toIntArray(),
                        steps,
                    )
                    saliencyOf(steps)
                }
            val clicks = saliencyClicks(map, width, height)
            assertEquals(expected.getInt("area"), clicks.blob.count { it })
            val blob = ByteArray(clicks.blob.size) { if (clicks.blob[it]) 1 else 0 }
            assertTrue(expected.getJSONObject("blob").isHashOf(blob), "the blobs differ")
            assertEquals(expected.getDouble("threshold"), clicks.threshold, 1e-6)
            assertEquals(expected.getDouble("maximum"), clicks.maximum, 1e-6)
            assertEquals(expected.getInt("maximum_count"), clicks.maximumCount)
            assertPoints(expected.getJSONArray("point_coords").flat(), clicks.points)
            val (photoHeight, photoWidth) = case.getJSONArray("image_hw").ints().toList()
            assertPoints(expected.getJSONArray("on_image").flat(), clicks.on(photoWidth, photoHeight))
        }

    private fun assertPoints(expected: FloatArray, found: List<Point>) {
        val coords = found.flatMap { listOf(it.x, it.y) }
        assertEquals(expected.size, coords.size)
        expected.forEachIndexed { index, value -> assertEquals(value, coords[index], 1e-3f) }
    }

    @TestFactory
    fun masks(): List<DynamicTest> =
        Vectors.tests("masks") { case ->
            val expected = case.getJSONObject("expected")
            val stored = case.getJSONObject("low_res_masks")
            val (height, width) = case.getJSONArray("image_hw").ints().toList()
            val (count, size) = stored.shape()
            val threshold = case.getDouble("threshold").toFloat()
            val masks = List(count) { enlargeMask(stored.floatArray(), size, it, width, height, threshold) }
            assertEquals(expected.getJSONArray("areas").ints().toList(), masks.map(Mask::area))
            val bits = masks.flatMap { mask -> mask.pixels.map { if (it == 0.toByte()) 0.toByte() else 1 } }
            assertTrue(expected.getJSONObject("masks").isHashOf(bits.toByteArray()), "the masks differ")
            val order = bestFirst(case.getJSONArray("iou_predictions").floats())
            assertEquals(expected.getJSONArray("order").ints().toList(), order)
        }

    @TestFactory
    fun orientation(): List<DynamicTest> =
        Vectors.tests("orientation") { case ->
            val found = upright(case.getJSONObject("image").image(), case.getInt("orientation"))
            val expected = case.getJSONObject("expected")
            assertEquals(expected.shape(), listOf(found.height, found.width, 3))
            assertArray(expected, found.pixels)
        }

    private fun assertArray(expected: JSONObject, found: ByteArray) {
        if (expected.has("fnv1a64")) {
            assertTrue(expected.isHashOf(found), "the values differ")
        } else {
            assertContentEquals(expected.bytes(), found)
        }
    }

    private fun promptOf(case: JSONObject) =
        Prompt.of(
            case.getJSONArray("point_coords").flat(),
            case.getJSONArray("point_labels").ints(),
            case.optJSONArray("box")?.floats(),
        )

    private fun rulesOf(json: JSONObject) =
        PromptRules(
            mapOrder = MapOrder.valueOf(json.getString("map_order").uppercase().replace('-', '_')),
            clickRadius = json.getInt("click_radius"),
            markedValue = json.getInt("marked_value"),
            carveBackground = json.getBoolean("carve_background"),
            maxClicks = json.getInt("max_clicks"),
        )
}
