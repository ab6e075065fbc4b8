"""What one export builds: pairs of runtime and precision."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqsam_deploy.errors import UsageError
from sqsam_deploy.runtimes.metadata import Precision, RuntimeName

#: Precisions of each runtime, in the order they are built.
PRECISIONS: dict[RuntimeName, tuple[Precision, ...]] = {
    "executorch": ("fp32", "fp16", "int8"),
    "onnx": ("fp32", "fp16", "int8"),
    "coreml": ("fp32", "fp16", "int8", "int8-weights"),
    "executorch-coreml": ("fp16",),
}
DEFAULT_RUNTIMES: tuple[RuntimeName, ...] = ("executorch", "coreml", "onnx")

_SUFFIXES: dict[RuntimeName, str] = {
    "executorch": ".pte",
    "onnx": ".onnx",
    "coreml": ".mlpackage",
    "executorch-coreml": "-coreml.pte",
}

#: Mean IoU with the float network's best masks that an artifact must reach to be written.
AGREEMENT_LIMITS: dict[Precision, float] = {
    "fp32": 0.999,
    "fp16": 0.99,
    "int8": 0.90,
    "int8-weights": 0.90,
}


def program_precision(precision: Precision) -> Precision:
    """Which program an artifact is lowered from: weight-only int8 takes W8A8's weights."""
    return "int8" if precision == "int8-weights" else precision


@dataclass(frozen=True)
class Target:
    """One artifact to build."""

    runtime: RuntimeName
    precision: Precision

    def file_name(self, stem: str) -> str:
        """`nano-int8.pte` and the like."""
        return f"{stem}-{self.precision}{_SUFFIXES[self.runtime]}"


def parse_runtimes(names: Sequence[str]) -> tuple[RuntimeName, ...]:
    """Runtime names as somebody typed them.

    Raises:
        UsageError: A name is not one of `PRECISIONS`.
    """
    for name in names:
        if name not in PRECISIONS:
            raise UsageError(f"unknown runtime '{name}': choose from {', '.join(PRECISIONS)}")
    return tuple(runtime for runtime in PRECISIONS if runtime in names)


def targets_for(
    runtimes: Sequence[RuntimeName], precisions: Sequence[Precision]
) -> tuple[Target, ...]:
    """All wanted pairs that exist; `int8` asks for Core ML's weight-only variant too.

    Raises:
        UsageError: None of the runtimes has any of the precisions.
    """
    wanted = {*precisions, "int8-weights"} if "int8" in precisions else set(precisions)
    targets = tuple(
        Target(runtime, precision)
        for runtime in runtimes
        for precision in PRECISIONS[runtime]
        if precision in wanted
    )
    if not targets:
        offered = "; ".join(f"{name}: {', '.join(PRECISIONS[name])}" for name in runtimes)
        raise UsageError(f"nothing to build: these runtimes have other precisions ({offered})")
    return targets
