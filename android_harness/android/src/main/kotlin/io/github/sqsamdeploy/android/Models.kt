package io.github.sqsamdeploy.android

import android.content.Context
import android.content.res.AssetManager
import io.github.sqsamdeploy.ArtifactEntry
import io.github.sqsamdeploy.ArtifactException
import io.github.sqsamdeploy.BackendFactory
import io.github.sqsamdeploy.ModelFile
import io.github.sqsamdeploy.Network
import io.github.sqsamdeploy.Segmenter
import io.github.sqsamdeploy.StoredModel
import io.github.sqsamdeploy.Task
import java.io.File
import java.io.FileInputStream
import java.io.FileNotFoundException
import java.io.IOException
import java.nio.ByteBuffer
import java.nio.channels.FileChannel
import java.security.DigestInputStream
import java.security.MessageDigest
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.withContext

/**
 * The models in an app's assets, as `sqsam-pull --format android-module` puts them there.
 *
 * @param context Any; the application's is kept.
 */
public class Models(context: Context) {
    private val app = context.applicationContext

    /** Names of the releases in the app. */
    public suspend fun releases(): List<String> =
        withContext(Dispatchers.IO) { app.assets.list(FOLDER).orEmpty().sorted() }

    /**
     * The artifacts of a release.
     *
     * @throws ArtifactException There is no such release in the app, or its manifest is damaged.
     */
    public suspend fun artifacts(release: String): List<ArtifactEntry> =
        withContext(Dispatchers.IO) {
            val path = "$FOLDER/$release/manifest.json"
            val text =
                try {
                    app.assets.open(path).bufferedReader().use { it.readText() }
                } catch (error: IOException) {
                    throw ArtifactException("the app has no assets/$path: add the model module to it", error)
                }
            ArtifactEntry.parseManifest(text, path)
        }

    /**
     * Opens the segmentation network of a release, and its saliency network where it has one.
     *
     * It may take a second, in which nothing runs on the caller's thread. The caller closes it.
     *
     * @param factory The runtime, one object of a backend module.
     * @param release null where the app has one release alone.
     * @param precision "int8", "fp16" or "fp32"; null takes the smallest files.
     * @param threads CPU threads; null takes half the processor's cores, four at most.
     * @throws ArtifactException There is no such model, or it cannot be loaded.
     */
    public suspend fun segmenter(
        factory: BackendFactory,
        release: String? = null,
        precision: String? = null,
        threads: Int? = null,
    ): Segmenter {
        val chosen = release ?: onlyRelease()
        val artifacts = artifacts(chosen).filter { it.metadata.runtime == factory.runtime }
        val wanted = artifacts.filter { precision == null || it.metadata.precision == precision }
        val network =
            wanted.smallest(Task.SEGMENTATION)
                ?: throw ArtifactException(
                    "$chosen has no ${precision ?: ""} model for ${factory.runtime}: pull it with " +
                        "sqsam-pull --runtime ${factory.runtime}",
                )
        val saliency = wanted.smallest(Task.SALIENCY) ?: artifacts.smallest(Task.SALIENCY)
        return withContext(Dispatchers.IO) {
            val keep = artifacts.map { it.sha256 }.toSet()
            val opened = mutableListOf<Network>()
            try {
                listOfNotNull(network, saliency).forEach { entry ->
                    val model = AssetModel(app, "$FOLDER/$chosen/${entry.path}", entry, File(chosen).name, keep)
                    opened += Network.open(factory, entry.metadata, model, threads)
                }
                Segmenter(opened[0], opened.getOrNull(1))
            } catch (error: ArtifactException) {
                opened.forEach(Network::close)
                throw error
            }
        }
    }

    private suspend fun onlyRelease(): String {
        val names = releases()
        return names.singleOrNull()
            ?: throw ArtifactException(
                if (names.isEmpty()) {
                    "the app has no assets/$FOLDER: add a module of sqsam-pull --format android-module to it"
                } else {
                    "the app has several releases, choose one: ${names.joinToString()}"
                },
            )
    }

    private companion object {
        const val FOLDER = "sqsam"
    }
}

private fun List<ArtifactEntry>.smallest(task: Task) = filter { it.metadata.task == task }.minByOrNull { it.bytes }

/**
 * A model among the assets: mapped out of the APK where it is stored uncompressed, else copied out
 * once, under its SHA-256, for runtimes that want a path and for apps without `noCompress`.
 *
 * @param keep SHA-256 of all models of the release; other copies in its folder are deleted.
 */
internal class AssetModel(
    private val context: Context,
    private val path: String,
    private val entry: ArtifactEntry,
    release: String,
    private val keep: Set<String>,
) : ModelFile {
    // Not backed up: it is in the app itself.
    private val folder = File(context.noBackupFilesDir, "sqsam/$release")

    override val name: String get() = path

    override fun map(): ByteBuffer =
        try {
            context.assets.openFd(path).use { asset ->
                FileInputStream(asset.fileDescriptor).use {
                    it.channel.map(FileChannel.MapMode.READ_ONLY, asset.startOffset, asset.length)
                }
            }
        } catch (_: FileNotFoundException) {
            // The asset is compressed.
            StoredModel(file()).map()
        }

    override fun file(): File {
        val target = File(folder, "${entry.sha256}-${entry.path}")
        if (target.length() == entry.bytes) return target
        folder.mkdirs()
        folder.listFiles().orEmpty().filter { it.name.substringBefore('-') !in keep }.forEach { it.delete() }
        val partial = File.createTempFile("copy", ".partial", folder)
        try {
            val digest = copyTo(partial)
            if (digest != entry.sha256) throw ArtifactException("$path is not the file that its manifest lists")
            if (!partial.renameTo(target)) throw ArtifactException("$target cannot be written")
        } catch (error: IOException) {
            throw ArtifactException("$path cannot be copied out of the app: ${error.message}", error)
        } finally {
            partial.delete()
        }
        return target
    }

    private fun copyTo(file: File): String {
        val digest = MessageDigest.getInstance("SHA-256")
        DigestInputStream(context.assets.open(path, AssetManager.ACCESS_STREAMING), digest).use { source ->
            file.outputStream().use { source.copyTo(it) }
        }
        return digest.digest().joinToString("") { "%02x".format(it) }
    }
}
