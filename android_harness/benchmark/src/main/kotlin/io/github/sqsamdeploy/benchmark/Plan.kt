package io.github.sqsamdeploy.benchmark

import io.github.sqsamdeploy.ArtifactMetadata
import io.github.sqsamdeploy.TensorSpec
import java.io.File
import org.json.JSONArray
import org.json.JSONObject

/** `plan.json`, as `sqsam_deploy/benchmark/phones/plan.py` writes it for every kind of phone. */
class Plan(
    val folder: File,
    val deviceName: String?,
    val rounds: Int,
    val turnMs: Double,
    val discarded: Int,
    val warmUp: Int,
    val imageSizes: List<List<Int>>,
    val artifacts: List<PlannedArtifact>,
) {
    companion object {
        fun read(folder: File): Plan {
            val json = JSONObject(File(folder, "plan.json").readText())
            check(json.getInt("plan_version") == 1) { "the plan is of a newer sqsam-bench" }
            return Plan(
                folder = folder,
                deviceName = json.optString("device_name").takeUnless { json.isNull("device_name") },
                rounds = json.getInt("rounds"),
                turnMs = json.getDouble("turn_ms"),
                discarded = json.getInt("discarded"),
                warmUp = json.getInt("warm_up"),
                imageSizes = json.getJSONArray("image_sizes").list { array, i -> array.getJSONArray(i).ints() },
                artifacts = json.getJSONArray("artifacts").list { array, i -> artifactOf(array.getJSONObject(i), folder) },
            )
        }
    }
}

/**
 * One artifact beside the plan, and its metadata beside it.
 *
 * @property compute Each is a row of its own.
 * @property feeds For each photo, a file beside the plan for each input.
 */
class PlannedArtifact(
    val name: String,
    val runtime: String,
    val precision: String,
    val preset: String,
    val bytes: Long,
    val compute: List<String>,
    val metadata: ArtifactMetadata,
    val feeds: List<List<String>>,
) {
    val inputs: List<TensorSpec> get() = metadata.inputs
    val outputs: List<TensorSpec> get() = metadata.outputs
}

private fun artifactOf(json: JSONObject, folder: File): PlannedArtifact {
    val name = "${json.getString("name")}.json"
    return PlannedArtifact(
        name = json.getString("name"),
        runtime = json.getString("runtime"),
        precision = json.getString("precision"),
        preset = json.getString("preset"),
        bytes = json.getLong("bytes"),
        compute = json.getJSONArray("compute").strings(),
        metadata = ArtifactMetadata.parse(File(folder, name).readText(), name),
        feeds = json.getJSONArray("feeds").list { array, i -> array.getJSONArray(i).strings() },
    )
}

private fun <T> JSONArray.list(item: (JSONArray, Int) -> T): List<T> = List(length()) { item(this, it) }

private fun JSONArray.strings() = list(JSONArray::getString)

private fun JSONArray.ints() = list(JSONArray::getInt)
