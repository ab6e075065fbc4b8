package io.github.sqsamdeploy

import java.io.File
import java.io.RandomAccessFile
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.nio.channels.FileChannel

/**
 * A network in a runtime, loaded and ready.
 *
 * It is used by one thread at a time. Its inputs are made once and filled anew for every inference:
 * direct buffers in native order, which no runtime has to copy.
 */
public interface Backend : AutoCloseable {
    /** One buffer for each declared input, in their order. */
    public val inputs: List<ByteBuffer>

    /**
     * One inference on what lies in [inputs].
     *
     * @return A copy of each declared output, in their order.
     * @throws ArtifactException The runtime failed.
     */
    public fun run(): List<FloatArray>
}

/** A runtime that opens artifacts: one object in each backend module. */
public interface BackendFactory {
    /** The runtime's name in metadata: "litert", "executorch", "onnx". */
    public val runtime: String

    /**
     * Loads a network; it may take a second and is not for the main thread.
     *
     * @param threads CPU threads; null takes [defaultThreads].
     * @throws ArtifactException The file cannot be loaded.
     */
    public fun open(
        model: ModelFile,
        inputs: List<TensorSpec>,
        outputs: List<TensorSpec>,
        threads: Int? = null,
    ): Backend
}

/** Where the bytes of an artifact are; runtimes take them by path or mapped into memory. */
public interface ModelFile {
    /** What a message calls it. */
    public val name: String

    /** The bytes, read-only and never on the Java heap. */
    public fun map(): ByteBuffer

    /** A file that holds them. */
    public fun file(): File
}

/** An artifact that is a file already. */
public class StoredModel(private val path: File) : ModelFile {
    override val name: String get() = path.name

    override fun map(): ByteBuffer =
        RandomAccessFile(path, "r").use { it.channel.map(FileChannel.MapMode.READ_ONLY, 0, it.length()) }

    override fun file(): File = path
}

/** An open artifact with what it says of itself; it closes its backend. */
public class Network(public val metadata: ArtifactMetadata, public val backend: Backend) : AutoCloseable {
    override fun close() {
        backend.close()
    }

    /** The outputs of one inference, checked. */
    internal fun run(): List<FloatArray> {
        val outputs = backend.run()
        metadata.outputs.forEachIndexed { index, spec ->
            val values = outputs.getOrNull(index)
            if (values?.size != spec.count) {
                throw ArtifactException("output '${spec.name}' has ${values?.size} values, not ${spec.count}")
            }
            if (!values.all(Float::isFinite)) {
                throw ArtifactException("output '${spec.name}' holds values that are not finite")
            }
        }
        return outputs
    }

    public companion object {
        /**
         * Opens an artifact with the runtime it was made for.
         *
         * @throws ArtifactException It is another runtime's, or cannot be loaded.
         */
        public fun open(
            factory: BackendFactory,
            metadata: ArtifactMetadata,
            model: ModelFile,
            threads: Int? = null,
        ): Network {
            if (metadata.runtime != factory.runtime) {
                throw ArtifactException("${model.name} is for ${metadata.runtime}, not for ${factory.runtime}")
            }
            return Network(metadata, factory.open(model, metadata.inputs, metadata.outputs, threads))
        }
    }
}

/** Buffers as runtimes take them without a copy, one for each spec. */
public fun directBuffers(specs: List<TensorSpec>): List<ByteBuffer> =
    specs.map { ByteBuffer.allocateDirect(it.bytes).order(ByteOrder.nativeOrder()) }

/** The floats of a whole buffer. */
public fun ByteBuffer.asFloats(): FloatArray {
    rewind()
    val values = asFloatBuffer()
    return FloatArray(values.remaining()).also { values.get(it) }
}

/**
 * CPU threads where nobody chose: half the cores, which on phones are the fast ones, four at most.
 */
public fun defaultThreads(): Int = (Runtime.getRuntime().availableProcessors() / 2).coerceIn(1, 4)

/**
 * Opens a model; whatever a runtime throws becomes an [ArtifactException].
 *
 * @param open May throw what its library throws, a missing native library included.
 */
public fun <T> loading(model: ModelFile, runtime: String, open: () -> T): T =
    try {
        open()
    } catch (error: LinkageError) {
        throw ArtifactException(
            "$runtime has no native library for this device's processor: its archive has none (every one has " +
                "arm64-v8a and x86_64), or the app's abiFilters left it out (${error.message})",
            error,
        )
    } catch (error: ArtifactException) {
        throw error
    } catch (error: Exception) {
        throw ArtifactException("${model.name} cannot be loaded by $runtime: ${error.message}", error)
    }

/** Runs an inference; whatever a runtime throws becomes an [ArtifactException]. */
public fun <T> running(runtime: String, infer: () -> T): T =
    try {
        infer()
    } catch (error: ArtifactException) {
        throw error
    } catch (error: Exception) {
        throw ArtifactException("$runtime failed: ${error.message}", error)
    }
