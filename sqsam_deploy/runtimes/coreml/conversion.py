"""An exported program to Core ML's ML Program."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from torch.export import ExportedProgram

from sqsam_deploy._internal.upstream.coremltools import (
    coremltools,
    quiet_conversion,
    restarted_names,
    unvalidated_passes,
)
from sqsam_deploy.artifact.metadata import (
    DEFAULT_DEPLOYMENT_TARGET,
    DeploymentTarget,
    PrecisionName,
    TensorSpec,
)
from sqsam_deploy.runtimes.coreml.mask_product import masks_by_rows
from sqsam_deploy.runtimes.coreml.palettes import palettized
from sqsam_deploy.runtimes.coreml.programs import decomposed, single_precision

if TYPE_CHECKING:
    from coremltools.converters.mil import Operation
    from coremltools.models import MLModel


def convert(
    program: ExportedProgram,
    inputs: Sequence[TensorSpec],
    outputs: Sequence[TensorSpec],
    precision: PrecisionName,
    deployment_target: DeploymentTarget = DEFAULT_DEPLOYMENT_TARGET,
) -> "MLModel":
    """Converts with the declared names, types and precision.

    Only fp32 computes in single precision: the Neural Engine has no other type than half, so
    W8A8 between float32 operators would never reach it.

    Args:
        program: Float or quantized; its user inputs are in the order of `inputs`.
        inputs: A layout of "image" becomes an image input.
        outputs: Float32 multi-arrays, whatever the precision inside.
        precision: Decides the compute precision.
        deployment_target: Decides which operators may be used, and which iOS loads the model.
    """
    ct = coremltools()
    with quiet_conversion(), unvalidated_passes(), restarted_names():
        model: MLModel = ct.convert(
            decomposed(masks_by_rows(single_precision(program))),
            source="pytorch",
            convert_to="mlprogram",
            inputs=[_input_type(spec) for spec in inputs],
            outputs=[_output_type(spec) for spec in outputs],
            minimum_deployment_target=ct.target[deployment_target],
            compute_precision=_compute_precision(precision),
            compute_units=ct.ComputeUnit.ALL,
            skip_model_load=True,
        )
        return palettized(model) if precision.startswith("palettized") else model


def _compute_precision(precision: PrecisionName) -> Any:
    ct = coremltools()
    if precision == "fp32":
        return ct.precision.FLOAT32
    return ct.transform.FP16ComputePrecision(op_selector=_may_be_half)


def _may_be_half(operation: "Operation") -> bool:
    """Everything except the positions of points up to their sine and cosine.

    float16 has only every half pixel at 1000, and sine and cosine multiply the error.
    """
    return not _reaches_trigonometry(operation)


def _reaches_trigonometry(operation: "Operation") -> bool:
    pending, seen = [operation], set()
    while pending:
        current = pending.pop()
        if current.op_type in ("sin", "cos"):
            return True
        # Weights feed many operators; only what is computed has a way to follow.
        if current.op_type in _NEVER_BEFORE_TRIGONOMETRY or id(current) in seen:
            continue
        seen.add(id(current))
        pending += [child for output in current.outputs for child in output.child_ops]
    return False


#: Where the search can stop: no position goes through these.
_NEVER_BEFORE_TRIGONOMETRY = ("conv", "conv_transpose", "softmax", "layer_norm", "max_pool")


def _input_type(spec: TensorSpec) -> Any:
    import numpy as np

    ct = coremltools()
    if spec.layout == "image":
        batch, height, width, channels = spec.shape
        # Scale 1 and bias 0: the network takes 0..255, its normalization is folded into it.
        return ct.ImageType(
            name=spec.name,
            shape=(batch, channels, height, width),
            color_layout=ct.colorlayout.RGB,
            scale=1.0,
            bias=[0.0, 0.0, 0.0],
            channel_first=True,
        )
    return ct.TensorType(name=spec.name, shape=spec.shape, dtype=np.float32)


def _output_type(spec: TensorSpec) -> Any:
    import numpy as np

    return coremltools().TensorType(name=spec.name, dtype=np.float32)
