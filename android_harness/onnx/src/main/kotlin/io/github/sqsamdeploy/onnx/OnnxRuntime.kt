package io.github.sqsamdeploy.onnx

import ai.onnxruntime.OnnxJavaType
import ai.onnxruntime.OnnxTensor
import ai.onnxruntime.OrtEnvironment
import ai.onnxruntime.OrtSession
import io.github.sqsamdeploy.ArtifactException
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

/** ONNX Runtime on the processor; `.onnx` files, mapped out of the APK. */
public object OnnxRuntime : BackendFactory {
    override val runtime: String get() = "onnx"

    override fun open(
        model: ModelFile,
        inputs: List<TensorSpec>,
        outputs: List<TensorSpec>,
        threads: Int?,
    ): Backend =
        loading(model, "ONNX Runtime") {
            val environment = OrtEnvironment.getEnvironment()
            val session =
                OrtSession.SessionOptions().use { options ->
                    options.setIntraOpNumThreads(threads ?: defaultThreads())
                    // An app predicts now and then: threads that wait busily between would cost battery.
                    options.addConfigEntry("session.intra_op.allow_spinning", "0")
                    // On x86 without VNNI (many an emulator's host) the usual kernels cut sums of products off.
                    if (System.getProperty("os.arch") in setOf("x86_64", "amd64")) {
                        options.addConfigEntry("session.x64quantprecision", "1")
                    }
                    environment.createSession(model.map(), options)
                }
            OnnxRuntimeBackend(environment, session, inputs, outputs)
        }
}

private class OnnxRuntimeBackend(
    environment: OrtEnvironment,
    private val session: OrtSession,
    specs: List<TensorSpec>,
    private val outputs: List<TensorSpec>,
) : Backend {
    override val inputs: List<ByteBuffer> = directBuffers(specs)

    // Made once: a tensor for each frame is native memory that nothing but closing gives back.
    private val tensors: Map<String, OnnxTensor> =
        specs.zip(inputs).associate { (spec, buffer) -> spec.name to tensorOf(environment, spec, buffer) }

    override fun run(): List<FloatArray> =
        running("ONNX Runtime") {
            session.run(tensors).use { result ->
                outputs.map { spec ->
                    val value = result.get(spec.name).orElse(null) as? OnnxTensor
                    val floats = value?.floatBuffer ?: throw ArtifactException("there is no output '${spec.name}'")
                    FloatArray(floats.remaining()).also(floats::get)
                }
            }
        }

    override fun close() {
        tensors.values.forEach(OnnxTensor::close)
        session.close()
    }
}

/** A tensor over the buffer itself. */
private fun tensorOf(environment: OrtEnvironment, spec: TensorSpec, buffer: ByteBuffer): OnnxTensor {
    val shape = spec.shape.map(Int::toLong).toLongArray()
    return when (spec.type) {
        ElementType.FLOAT32 -> OnnxTensor.createTensor(environment, buffer.asFloatBuffer(), shape)
        ElementType.INT8 -> OnnxTensor.createTensor(environment, buffer, shape, OnnxJavaType.INT8)
        ElementType.UINT8 -> OnnxTensor.createTensor(environment, buffer, shape, OnnxJavaType.UINT8)
    }
}
