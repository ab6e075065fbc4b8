"""Rules of Core ML's compilers and processors for a package, as far as its program tells."""

from collections.abc import Iterable, Iterator
from typing import Any

import torch

from sqsam_deploy.runtimes.coreml.half_scales import SMALLEST_NORMAL
from sqsam_deploy.runtimes.coreml.package import Package
from sqsam_deploy.runtimes.coreml.reference.program import ReferenceProgram, Step, load_program
from sqsam_deploy.runtimes.device import DeviceCheck, DeviceRule

LARGEST_DIMENSION = 16_384
LARGEST_RANK = 5

DIMENSIONS = DeviceRule(
    "dimensions",
    f"No value has a dimension over {LARGEST_DIMENSION:,}.",
    "The Neural Engine's compiler leaves the operation, and what surrounds it, to another "
    "processor.",
    "https://github.com/apple/coremltools/issues/1003, "
    "https://github.com/microsoft/onnxruntime/issues/19543",
)
RANKS = DeviceRule(
    "ranks",
    f"No value has more than {LARGEST_RANK} dimensions.",
    "Core ML refuses to load the model.",
    "coremltools 9.0, converters/mil/mil/program.py ('Core ML only supports tensors with rank <= "
    "5'); https://github.com/microsoft/onnxruntime/issues/14212",
    breaks=True,
)
SCALES = DeviceRule(
    "scales",
    "Every scale is positive.",
    "Core ML cannot parse the model.",
    "https://github.com/webmachinelearning/webnn/issues/822",
    breaks=True,
)
NORMAL_SCALES = DeviceRule(
    "normal-scales",
    "Every scale in half precision is a normal number, 2^-14 or more.",
    "A processor that flushes smaller numbers to zero loses the layer.",
    "IEEE 754 binary16; docs/coreml.md",
)
SIGNED_WEIGHTS = DeviceRule(
    "signed-weights",
    "Int8 weights that are expanded before they are used are stored as unsigned numbers.",
    "The GPU, or the Neural Engine, of some systems expanded signed ones to wrong numbers; Apple "
    "ships signed ones itself. Compare every compute unit with the CPU on the device.",
    "https://github.com/apple/coremltools/issues/2114, "
    "https://github.com/apple/coremltools/pull/2675, docs/coreml.md",
)
ZERO_POINTS = DeviceRule(
    "zero-points",
    "Quantized activations have no zero point.",
    "They may run slower: what the Neural Engine multiplies as int8 is not documented, and Apple's "
    "own examples have none.",
    "coremltools 9.0, nullify_redundant_quantization_zero_point; "
    "https://apple.github.io/coremltools/docs-guides/source/opt-quantization-api.html",
)


def package_checks(package: Package) -> tuple[DeviceCheck, ...]:
    """Every rule, on a package.

    Raises:
        ArtifactError: It cannot be read, or has an operator that the reference executor lacks.
    """
    program = load_program(package)
    return (
        DIMENSIONS.check(_shapes(program, lambda shape: max(shape, default=1) > LARGEST_DIMENSION)),
        RANKS.check(_shapes(program, lambda shape: len(shape) > LARGEST_RANK)),
        SCALES.check(step.output for step, scale in _scales(program) if float(scale.min()) <= 0),
        NORMAL_SCALES.check(
            f"{step.output}: {float(scale.abs().min()):.2g}"
            for step, scale in _scales(program)
            if scale.dtype == torch.float16 and float(scale.abs().min()) < SMALLEST_NORMAL
        ),
        SIGNED_WEIGHTS.check(_counted(_signed(program), "weights")),
        ZERO_POINTS.check(_counted(_shifted(program), "quantize operations")),
    )


def _shapes(program: ReferenceProgram, breaks: Any) -> Iterator[str]:
    values = [(name, shape) for name, (shape, _) in program.inputs.items()]
    values += [(step.output, step.shape) for step in program.steps]
    for name, shape in values:
        if breaks(shape):
            yield f"{name}, {'x'.join(map(str, shape))}"


def _scales(program: ReferenceProgram) -> Iterator[tuple[Step, torch.Tensor]]:
    for step in program.steps:
        scale = step.tensors.get("scale")
        if isinstance(scale, torch.Tensor):
            yield step, scale


def _signed(program: ReferenceProgram) -> tuple[int, int]:
    """Weights that are signed, of all int8 weights that are expanded by that operator."""
    weights = [s for s in program.steps if s.kind == "constexpr_affine_dequantize"]
    return sum(s.tensors["quantized_data"].dtype == torch.int8 for s in weights), len(weights)


def _shifted(program: ReferenceProgram) -> tuple[int, int]:
    """`quantize` operations with a zero point, of all."""
    found = [step for step in program.steps if step.kind == "quantize"]
    return sum(_has_zero_point(step) for step in found), len(found)


def _has_zero_point(step: Step) -> bool:
    zero_point = step.tensors.get("zero_point")
    return zero_point is not None and bool(zero_point.any())


def _counted(found: tuple[int, int], what: str) -> Iterable[str]:
    some, every = found
    return (f"{some} of {every} {what}",) if some else ()
