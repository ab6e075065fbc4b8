package io.github.sqsamdeploy

import java.io.File
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.util.Base64
import java.util.zip.CRC32
import org.json.JSONArray
import org.json.JSONObject
import org.junit.jupiter.api.DynamicTest

/** The vectors that every language reads: `tests/vectors`, or where the property says. */
object Vectors {
    private val directory = File(System.getProperty("sqsam.vectors") ?: "../../tests/vectors")

    /** A test for each case of a topic. */
    fun tests(topic: String, check: (JSONObject) -> Unit): List<DynamicTest> {
        val file = JSONObject(File(directory, "$topic.json").readText())
        check(file.getInt("version") == 1) { "$topic.json is of another version" }
        val cases = file.getJSONArray("cases").objects()
        check(cases.isNotEmpty()) { "$topic.json holds no case" }
        return cases.map { case -> DynamicTest.dynamicTest("$topic: ${case.getString("name")}") { check(case) } }
    }
}

fun JSONArray.objects(): List<JSONObject> = List(length(), ::getJSONObject)

/** Decimals of float32 values: parsed as doubles, then rounded. */
fun JSONArray.floats(): FloatArray = FloatArray(length()) { number(get(it)).toFloat() }

fun JSONArray.ints(): IntArray = IntArray(length(), ::getInt)

/** A list of pairs, flat. */
fun JSONArray.flat(): FloatArray = List(length(), ::getJSONArray).flatMap { it.floats().toList() }.toFloatArray()

private fun number(value: Any) =
    when (value) {
        is Number -> value.toDouble()
        else -> value.toString().lowercase().let { if (it == "nan") Double.NaN else it.toDouble() }
    }

/** The bytes of a stored array, little-endian. */
fun JSONObject.bytes(): ByteArray = Base64.getDecoder().decode(getString("base64"))

fun JSONObject.shape(): List<Int> = getJSONArray("shape").ints().toList()

fun JSONObject.floatArray(): FloatArray {
    val values = ByteBuffer.wrap(bytes()).order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer()
    return FloatArray(values.remaining()).also(values::get)
}

/** A stored picture, or one made by the formula. */
fun JSONObject.image(): RgbImage {
    val pattern = optJSONObject("pattern") ?: return RgbImage(shape()[1], shape()[0], bytes())
    val width = pattern.getInt("width")
    val height = pattern.getInt("height")
    val pixels = ByteArray(width * height * 3)
    for (y in 0 until height) {
        for (x in 0 until width) {
            for (c in 0 until 3) {
                pixels[(y * width + x) * 3 + c] = (7 * x + 13 * y + 29 * c + x * y % 251).toByte()
            }
        }
    }
    return RgbImage(width, height, pixels)
}

/** Whether a stored array, or the CRC-32 of a large one, is that of [bytes]. */
fun JSONObject.isOf(bytes: ByteArray): Boolean =
    if (has("crc32")) {
        getString("crc32") == "%08x".format(CRC32().also { it.update(bytes) }.value)
    } else {
        bytes().contentEquals(bytes)
    }
