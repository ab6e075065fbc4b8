package io.github.sqsamdeploy.executorch

import io.github.sqsamdeploy.Backend
import io.github.sqsamdeploy.BackendFactory
import io.github.sqsamdeploy.ElementType
import io.github.sqsamdeploy.ModelFile
import io.github.sqsamdeploy.TensorSpec
import io.github.sqsamdeploy.defaultThreads
import io.github.sqsamdeploy.directBuffers
import io.github.sqsamdeploy.loading
import io.github.sqsamdeploy.running
import java.nio.ByteBuffer
import org.pytorch.executorch.EValue
import org.pytorch.executorch.Module
import org.pytorch.executorch.Tensor

/**
 * ExecuTorch on the processor, with XNNPACK; `.pte` files, which it opens by path.
 *
 * It keeps one pool of threads for the whole process: the network that was loaded last says how many.
 */
public object ExecuTorch : BackendFactory {
    override val runtime: String get() = "executorch"

    override fun open(
        model: ModelFile,
        inputs: List<TensorSpec>,
        outputs: List<TensorSpec>,
        threads: Int?,
    ): Backend =
        loading(model, "ExecuTorch") {
            val module = Module.load(model.file().path, Module.LOAD_MODE_MMAP, threads ?: defaultThreads())
            module.loadMethod("forward")
            ExecuTorchBackend(module, inputs)
        }
}

private class ExecuTorchBackend(private val module: Module, specs: List<TensorSpec>) : Backend {
    override val inputs: List<ByteBuffer> = directBuffers(specs)
    private val values =
        specs.zip(inputs).map { (spec, buffer) -> EValue.from(tensorOf(spec, buffer)) }.toTypedArray()

    // An output is the program's own memory until the next inference: `dataAsFloatArray` copies it.
    override fun run(): List<FloatArray> =
        running("ExecuTorch") { module.forward(*values).map { it.toTensor().dataAsFloatArray } }

    override fun close() {
        module.destroy()
    }
}

/** A tensor over the buffer itself; bytes are int8 to ExecuTorch unless they are said to be unsigned. */
private fun tensorOf(spec: TensorSpec, buffer: ByteBuffer): Tensor {
    val shape = spec.shape.map(Int::toLong).toLongArray()
    return when (spec.type) {
        ElementType.FLOAT32 -> Tensor.fromBlob(buffer.asFloatBuffer(), shape)
        ElementType.INT8 -> Tensor.fromBlob(buffer, shape)
        ElementType.UINT8 -> Tensor.fromBlobUnsigned(buffer, shape)
    }
}
