package io.github.sqsamdeploy.litert

import io.github.sqsamdeploy.Backend
import io.github.sqsamdeploy.BackendFactory
import io.github.sqsamdeploy.ModelFile
import io.github.sqsamdeploy.TensorSpec
import io.github.sqsamdeploy.asFloats
import io.github.sqsamdeploy.defaultThreads
import io.github.sqsamdeploy.directBuffers
import io.github.sqsamdeploy.loading
import io.github.sqsamdeploy.running
import java.nio.ByteBuffer
import org.tensorflow.lite.Interpreter

/** LiteRT on the processor, with XNNPACK; `.tflite` files, mapped out of the APK. */
public object LiteRt : BackendFactory {
    override val runtime: String get() = "litert"

    override fun open(
        model: ModelFile,
        inputs: List<TensorSpec>,
        outputs: List<TensorSpec>,
        threads: Int?,
    ): Backend =
        loading(model, "LiteRT") {
            val options = Interpreter.Options().apply { setNumThreads(threads ?: defaultThreads()) }
            LiteRtBackend(Interpreter(model.map(), options), inputs, outputs)
        }
}

private class LiteRtBackend(
    private val interpreter: Interpreter,
    private val inputSpecs: List<TensorSpec>,
    outputSpecs: List<TensorSpec>,
) : Backend {
    override val inputs: List<ByteBuffer> = directBuffers(inputSpecs)
    private val outputs = directBuffers(outputSpecs)

    // The interpreter reads and writes these very buffers, at every inference.
    private val fed: Map<String, Any> = inputSpecs.map { it.name }.zip(inputs).toMap()
    private val returned: Map<String, Any> = outputSpecs.map { it.name }.zip(outputs).toMap()

    override fun run(): List<FloatArray> =
        running("LiteRT") {
            (inputs + outputs).forEach { it.rewind() }
            interpreter.runSignature(fed, returned, SIGNATURE)
            outputs.map { it.asFloats() }
        }

    override fun close() {
        interpreter.close()
    }

    private companion object {
        const val SIGNATURE = "serving_default"
    }
}
