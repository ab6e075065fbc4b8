package io.github.sqsamdeploy

import org.json.JSONArray
import org.json.JSONException
import org.json.JSONObject

/** What a network does. */
public enum class Task { SEGMENTATION, SALIENCY }

/** An element of an input or output; int8 holds pixel values minus 128. */
public enum class ElementType(public val bytes: Int) { FLOAT32(4), UINT8(1), INT8(1) }

/** Order of the two prompt maps behind red, green and blue. */
public enum class MapOrder { CLICKS_BOX, BOX_CLICKS }

/** How a photo becomes the network's square. */
public enum class Resize { STRETCH_BILINEAR, STRETCH_BILINEAR_ANTIALIAS }

/**
 * One input or output.
 *
 * @property layout Meaning of the axes: "NCHW", "NHWC", "NxPx2", "NxP", "NxM", "NxMxHxW".
 */
public data class TensorSpec(
    val name: String,
    val type: ElementType,
    val shape: List<Int>,
    val layout: String,
) {
    /** Elements. */
    public val count: Int get() = shape.fold(1, Int::times)

    /** Bytes. */
    public val bytes: Int get() = count * type.bytes
}

/**
 * How prompts are drawn and listed.
 *
 * @property clickRadius Pixels of the network's square.
 * @property carveBackground Whether a background click cuts its disc out of the box map.
 */
public data class PromptRules(
    val mapOrder: MapOrder,
    val clickRadius: Int,
    val markedValue: Int,
    val carveBackground: Boolean,
    val maxClicks: Int,
) {
    /** Point tokens of a prompt: the clicks and the box's two corners. */
    public val maxPoints: Int get() = maxClicks + 2
}

/**
 * Everything that is needed to feed one artifact and to read what it returns.
 *
 * It is the JSON that every artifact and its manifest carry.
 *
 * @property prompts null for a saliency network, which takes a photo alone.
 */
public data class ArtifactMetadata(
    val task: Task,
    val preset: String,
    val runtime: String,
    val precision: String,
    val imageSize: Int,
    val maskSize: Int,
    val resize: Resize,
    val prompts: PromptRules?,
    val maskThreshold: Float,
    val inputs: List<TensorSpec>,
    val outputs: List<TensorSpec>,
) {
    public companion object {
        /**
         * Reads metadata.
         *
         * @param source What a message calls them.
         * @throws ArtifactException They are damaged, or a newer version wrote them.
         */
        public fun parse(json: String, source: String): ArtifactMetadata =
            reading(source) { metadataOf(JSONObject(json)) }
    }
}

/**
 * An artifact as a manifest lists it.
 *
 * @property path Relative to the manifest.
 * @property sha256 Of the file, lower-case hex.
 */
public data class ArtifactEntry(
    val path: String,
    val bytes: Long,
    val sha256: String,
    val metadata: ArtifactMetadata,
) {
    public companion object {
        /**
         * The artifacts of a `manifest.json`.
         *
         * @param source What a message calls it.
         * @throws ArtifactException It is damaged, or a newer version wrote it.
         */
        public fun parseManifest(json: String, source: String): List<ArtifactEntry> =
            reading(source) {
                JSONObject(json).getJSONArray("artifacts").objects().map {
                    ArtifactEntry(
                        path = it.getString("path"),
                        bytes = it.getLong("bytes"),
                        sha256 = it.getString("sha256"),
                        metadata = metadataOf(it.getJSONObject("metadata")),
                    )
                }
            }
    }
}

private const val FORMAT_VERSION = 1

private fun <T> reading(source: String, read: () -> T): T =
    try {
        read()
    } catch (error: JSONException) {
        throw ArtifactException("$source is damaged: ${error.message}", error)
    } catch (error: IllegalArgumentException) {
        throw ArtifactException("$source holds a value that is not known here: ${error.message}", error)
    }

/** Sides and values of networks are below these; what is not is damage. */
private const val MOST_SIDE = 1 shl 14
private const val MOST_VALUES = 1L shl 28

private fun sizeOf(json: JSONObject, key: String): Int {
    val size = json.getInt(key)
    require(size in 1 until MOST_SIDE) { "$key $size" }
    return size
}

private fun metadataOf(json: JSONObject): ArtifactMetadata {
    val version = json.getInt("format_version")
    require(version == FORMAT_VERSION) { "format_version $version (update this library)" }
    return ArtifactMetadata(
        task = Task.valueOf(constant(json.optString("task", "segmentation"))),
        preset = json.getString("preset"),
        runtime = json.getString("runtime"),
        precision = json.getString("precision"),
        imageSize = sizeOf(json, "image_size"),
        maskSize = sizeOf(json, "mask_size"),
        resize = Resize.valueOf(constant(json.getString("resize"))),
        prompts = json.optJSONObject("prompts")?.let(::rulesOf),
        maskThreshold = json.optDouble("mask_threshold", 0.0).toFloat(),
        inputs = tensorSpecs(json.getJSONArray("inputs")),
        outputs = tensorSpecs(json.getJSONArray("outputs")),
    )
}

private fun rulesOf(json: JSONObject) =
    PromptRules(
        mapOrder = MapOrder.valueOf(constant(json.getString("map_order"))),
        clickRadius = json.getInt("click_radius"),
        markedValue = json.optInt("marked_value", 255),
        carveBackground = json.getBoolean("carve_background"),
        maxClicks = json.getInt("max_clicks"),
    )

internal fun tensorSpecs(json: JSONArray): List<TensorSpec> =
    json.objects().map {
        val sides = it.getJSONArray("shape")
        val shape = List(sides.length(), sides::getInt)
        require(shape.all { side -> side > 0 } && shape.fold(1L, Long::times) <= MOST_VALUES) { "shape $shape" }
        TensorSpec(
            name = it.getString("name"),
            type = ElementType.valueOf(constant(it.getString("dtype"))),
            shape = shape,
            layout = it.getString("layout"),
        )
    }

/** "clicks-box" -> CLICKS_BOX. */
private fun constant(word: String) = word.uppercase().replace('-', '_')

private fun JSONArray.objects(): List<JSONObject> = List(length(), ::getJSONObject)
