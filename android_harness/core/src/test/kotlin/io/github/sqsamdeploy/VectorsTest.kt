package io.github.sqsamdeploy

import kotlin.math.abs
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
            val expected = case.getJSONObject("expected")
            if (resize == Resize.STRETCH_BILINEAR && expected.has("base64")) {
                val steps = expected.bytes().zip(square) { a, b -> abs((a.toInt() and 0xFF) - (b.toInt() and 0xFF)) }
                assertTrue(steps.max() <= 1, "${steps.max()} steps")
            } else {
                assertTrue(expected.isOf(square), "the squares differ")
            }
        }

    @TestFactory
    fun prompts(): List<DynamicTest> =
        Vectors.tests("prompts") { case ->
            val (height, width) = case.getJSONArray("image_hw").ints().toList()
            if (case.has("error")) {
                assertFailsWith<PromptException> { promptOf(case).on(width, height) }
            } else {
                val rules = case.getJSONObject("rules")
                val limited = promptOf(case).on(width, height).limitedTo(rules.getInt("max_clicks"))
                val encoded = encodePrompt(limited, width, height, rules.getInt("image_size"), rulesOf(rules))
                assertEncoded(case.getJSONObject("expected"), encoded)
            }
        }

    private fun assertEncoded(expected: JSONObject, found: EncodedPrompt) {
        assertContentEquals(expected.getJSONArray("point_coords").flat(), found.pointCoords)
        assertContentEquals(expected.getJSONArray("point_labels").floats(), found.pointLabels)
        val plane = found.maps.size / 2
        val marked = List(2) { map -> (map * plane until (map + 1) * plane).count { found.maps[it] == (-1).toByte() } }
        assertEquals(expected.getJSONArray("marked").ints().toList(), marked)
        assertTrue(expected.getJSONObject("prompt_maps").isOf(found.maps), "the maps differ")
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
            case.optJSONObject("logits")?.let { logits ->
                val steps = saliencySteps(logits.floatArray())
                assertTrue(expected.getJSONObject("steps").isOf(ByteArray(steps.size) { steps[it].toByte() }))
                return@tests
            }
            val map = case.getJSONObject("map")
            val (height, width) = map.shape()
            val clicks = saliencyClicks(map.floatArray(), width, height)
            assertEquals(expected.getInt("area"), clicks.blob.count { it })
            val blob = ByteArray(clicks.blob.size) { if (clicks.blob[it]) 1 else 0 }
            assertTrue(expected.getJSONObject("blob").isOf(blob), "the blobs differ")
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
    fun auto(): List<DynamicTest> =
        Vectors.tests("auto") { case ->
            val expected = case.getJSONObject("expected")
            val map = case.getJSONObject("map")
            val (photoHeight, photoWidth) = case.getJSONArray("image_hw").ints().toList()
            val clicks = saliencyClicks(map.floatArray(), map.shape()[1], map.shape()[0])
            assertPoints(expected.getJSONArray("point_coords").flat(), clicks.on(photoWidth, photoHeight))
            val box = clicks.boxOn(photoWidth, photoHeight)
            assertPoints(expected.getJSONArray("box").floats(), listOf(Point(box.x0, box.y0), Point(box.x1, box.y1)))
            val masks = case.getJSONObject("low_res_masks")
            val blob = clicks.blobOnGrid(masks.shape()[1])
            assertTrue(expected.getJSONObject("blob_on_grid").isOf(ByteArray(blob.size) { if (blob[it]) 1 else 0 }))
            val order = bestFirst(case.getJSONArray("iou_predictions").floats())
            assertEquals(expected.getJSONArray("order").ints().toList(), order)
            val threshold = case.getDouble("threshold").toFloat()
            assertEquals(expected.getInt("chosen"), order[mostLikeBlob(masks.floatArray(), order, threshold, blob)])
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
            assertTrue(expected.getJSONObject("masks").isOf(bits.toByteArray()), "the masks differ")
            val order = bestFirst(case.getJSONArray("iou_predictions").floats())
            assertEquals(expected.getJSONArray("order").ints().toList(), order)
        }

    @TestFactory
    fun orientation(): List<DynamicTest> =
        Vectors.tests("orientation") { case ->
            val found = upright(case.getJSONObject("image").image(), case.getInt("orientation"))
            val expected = case.getJSONObject("expected")
            assertEquals(expected.shape(), listOf(found.height, found.width, 3))
            assertTrue(expected.isOf(found.pixels))
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
