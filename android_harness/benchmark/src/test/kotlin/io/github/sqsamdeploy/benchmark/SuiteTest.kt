package io.github.sqsamdeploy.benchmark

import java.io.File
import kotlin.test.assertEquals
import kotlin.test.assertFalse
import kotlin.test.assertTrue
import org.json.JSONObject
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir

class SuiteTest {
    @TempDir lateinit var folder: File

    private fun plan(vararg runtimes: String): Plan {
        File(folder, "a.bin").writeBytes(ByteArray(16) { 1 })
        File(folder, "b.bin").writeBytes(ByteArray(16) { 2 })
        val artifacts =
            runtimes.joinToString { runtime ->
                File(folder, "nano.$runtime").writeText("abc")
                File(folder, "nano.$runtime.json").writeText(
                    """{"format_version": 1, "preset": "nano", "runtime": "$runtime", "precision": "int8",
                        "image_size": 4, "mask_size": 2, "resize": "stretch-bilinear", "prompts": null,
                        "inputs": [{"name": "pixels", "dtype": "int8", "shape": [1, 4, 4], "layout": "NHWC"}],
                        "outputs": []}""",
                )
                """{"name": "nano.$runtime", "runtime": "$runtime", "precision": "int8", "preset": "nano",
                    "bytes": 3, "compute": ["cpu"], "feeds": [["a.bin"], ["b.bin"]]}"""
            }
        File(folder, "plan.json").writeText(
            """{"plan_version": 1, "device_name": null, "rounds": 3, "turn_ms": 4, "discarded": 2, "warm_up": 5,
                "image_sizes": [[4, 4], [8, 4]], "artifacts": [$artifacts]}""",
        )
        return Plan.read(folder)
    }

    private fun run(plan: Plan, vararg runtimes: StandInRuntime): Pair<JSONObject, List<String>> {
        val said = mutableListOf<String>()
        val target = File(folder, "result.json")
        Suite(plan, runtimes.toList(), StandInPhone(), said::add).run(target)
        return JSONObject(target.readText()) to said
    }

    @Test
    fun `every row has its turns, and every turn its load, samples and states`() {
        val runtime = StandInRuntime("onnx")
        val (result, said) = run(plan("onnx"), runtime)
        val row = result.getJSONArray("measurements").getJSONObject(0)
        val rounds = row.getJSONObject("stages").getJSONObject("inference").getJSONArray("rounds")
        assertEquals(3, rounds.length())
        assertEquals(3, row.getJSONArray("load").length())
        assertEquals(5, row.getJSONArray("warm_up").length())
        assertEquals(6, row.getJSONArray("thermal").length())
        assertTrue(List(rounds.length()) { rounds.getJSONArray(it).length() }.all { it in 2..50 })
        assertEquals(
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            row.getJSONObject("subject").getString("sha256"),
        )
        assertEquals(3, said.size)
        assertTrue(runtime.open.isEmpty(), "every turn lets its artifact go")
    }

    @Test
    fun `photos are fed in turn`() {
        val runtime = StandInRuntime("onnx")
        run(plan("onnx"), runtime)
        // The first inference is of photo 0, and so is the first of the warm-up.
        assertEquals(listOf<List<Byte>>(listOf(1), listOf(1), listOf(2), listOf(1)), runtime.seen.take(4))
    }

    @Test
    fun `a row that fails keeps its reason and ends no other`() {
        val (result, said) = run(plan("onnx", "litert", "other"), StandInRuntime("onnx"), StandInRuntime("litert", true))
        val failed = result.getJSONArray("not_measured")
        val reasons = List(failed.length(), failed::getJSONObject).associate { it.getString("subject") to it.getString("reason") }
        assertEquals(setOf("nano.litert", "nano.other"), reasons.keys)
        assertTrue("cannot be loaded" in reasons.getValue("nano.litert"))
        assertEquals(1, result.getJSONArray("measurements").length())
        assertEquals(3 + 2, said.size)
    }

    @Test
    fun `a feed of another size is refused by name`() {
        val plan = plan("onnx")
        File(folder, "b.bin").writeBytes(ByteArray(3))
        val (result, _) = run(plan, StandInRuntime("onnx"))
        val reason = result.getJSONArray("not_measured").getJSONObject(0).getString("reason")
        assertTrue("b.bin" in reason)
        assertFalse(File(folder, "result.json.partial").exists())
    }
}
