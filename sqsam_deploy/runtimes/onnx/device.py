"""Rules of ONNX Runtime's execution providers on phones for a file."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from sqsam_deploy.artifact.requirements import Requirements, SwiftDependency
from sqsam_deploy.runtimes.device import DeviceCheck, DeviceRule
from sqsam_deploy.runtimes.onnx.model_file import read_model

if TYPE_CHECKING:
    from onnx import ModelProto

#: The newest package of each kind that was seen. Both hold all operators (`onnxruntime-mobile`,
#: which did not, ended with 1.18).
REQUIREMENTS = Requirements(
    swift=(
        SwiftDependency(
            url="https://github.com/microsoft/onnxruntime-swift-package-manager",
            version="1.24.2",
            products=("onnxruntime",),
        ),
    ),
    ios="15.1",
    maven=("com.microsoft.onnxruntime:onnxruntime-android:1.25.1",),
    android_api=24,
    android_abis=("arm64-v8a", "armeabi-v7a", "x86", "x86_64"),
)

#: Newest operator set and file format of the oldest ONNX Runtime that artifacts name, 1.15.
NEWEST_OPERATORS, NEWEST_FORMAT = 19, 9

VERSIONS = DeviceRule(
    "versions",
    f"Operator set {NEWEST_OPERATORS} and file format {NEWEST_FORMAT}, or older.",
    "ONNX Runtime 1.15 refuses the file.",
    "https://onnxruntime.ai/docs/reference/compatibility.html",
    breaks=True,
)
CORE_ML_QUANTIZED = DeviceRule(
    "coreml-provider",
    "No operator is quantized, so that the Core ML provider can take the network.",
    "The Core ML and WebGPU providers have no quantized operators, so that the CPU provider runs "
    "the convolutions. Give these providers fp16 or fp32.",
    "https://onnxruntime.ai/docs/execution-providers/CoreML-ExecutionProvider.html (list of "
    "operators)",
)
XNNPACK_SIGNS = DeviceRule(
    "xnnpack-provider",
    "Quantized convolutions have activations and weights of one sign.",
    "The XNNPACK provider leaves them to the CPU provider.",
    "onnxruntime/core/providers/xnnpack/nn/conv_base.cc",
)


def file_checks(path: Path) -> tuple[DeviceCheck, ...]:
    """Every rule, on a file.

    Raises:
        ArtifactError: It is damaged.
    """
    model = read_model(path)
    kinds = Counter(node.op_type for node in model.graph.node)
    quantized = kinds["QuantizeLinear"] + kinds["DequantizeLinear"]
    newer = [
        f"{entry.domain or 'ai.onnx'} {entry.version}"
        for entry in model.opset_import
        if entry.domain in ("", "ai.onnx") and entry.version > NEWEST_OPERATORS
    ]
    if model.ir_version > NEWEST_FORMAT:
        newer.append(f"file format {model.ir_version}")
    mixed = _mixed_convolutions(model)
    return (
        VERSIONS.check(newer),
        CORE_ML_QUANTIZED.check(
            [f"{quantized} of {sum(kinds.values())} operators quantize"] if quantized else ()
        ),
        XNNPACK_SIGNS.check(
            [f"{mixed} convolutions of uint8 by int8"] if mixed else (),
        ),
    )


def _mixed_convolutions(model: "ModelProto") -> int:
    """Convolutions between `DequantizeLinear` of uint8 activations and of int8 weights."""
    import onnx

    types = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    signs = {
        node.output[0]: types.get(node.input[2])
        for node in model.graph.node
        if node.op_type == "DequantizeLinear" and len(node.input) > 2
    }
    mixed = (onnx.TensorProto.UINT8, onnx.TensorProto.INT8)
    return sum(
        node.op_type == "Conv" and tuple(map(signs.get, node.input[:2])) == mixed
        for node in model.graph.node
    )
