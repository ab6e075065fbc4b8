"""What one export builds: artifacts, each for one runtime at one precision."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, get_args

from sqsam_deploy.artifact.metadata import (
    DEFAULT_DEPLOYMENT_TARGET,
    DeploymentTarget,
    InputLayout,
    Precision,
    RuntimeName,
)
from sqsam_deploy.errors import UsageError

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

#: What the first convolution's int8 kernel reads, so that nothing is converted.
_INT8_LAYOUTS: dict[RuntimeName, InputLayout] = {
    "executorch": "nhwc-int8",
    "onnx": "nhwc-uint8",
}

#: Mean IoU with the float network's best masks that an artifact must reach to be written.
AGREEMENT_LIMITS: dict[Precision, float] = {
    "fp32": 0.999,
    "fp16": 0.99,
    "int8": 0.90,
    "int8-weights": 0.90,
}

#: Runtimes whose artifacts hold a Core ML model, which needs a lowest iOS.
_CORE_ML: tuple[RuntimeName, ...] = ("coreml", "executorch-coreml")
_DEPLOYMENT_TARGETS: tuple[DeploymentTarget, ...] = get_args(DeploymentTarget)
#: The lowest target whose operators express a precision. `quantize` and `dequantize` are of iOS 17
#: (coremltools 9.0 lowers weights alone to the same operator); ML Programs begin with iOS 15.
_LOWEST_TARGET: dict[Precision, DeploymentTarget] = {
    "fp32": "iOS15",
    "fp16": "iOS15",
    "int8": "iOS17",
    "int8-weights": "iOS17",
}
#: ExecuTorch's Core ML backend begins with this one (its documentation, "Target Requirements").
_LOWEST_OF_DELEGATE: DeploymentTarget = "iOS16"

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_LONGEST_NAME = 40


def input_layouts(runtime: RuntimeName, precision: Precision) -> tuple[InputLayout, ...]:
    """Layouts an artifact can take its image in, the best first."""
    if runtime == "coreml":
        return ("image",)
    if precision != "int8":
        return ("nchw-float32",)
    return (_INT8_LAYOUTS[runtime], "nchw-float32")


def program_precision(precision: Precision) -> Precision:
    """Which program an artifact is lowered from: weight-only int8 takes W8A8's weights."""
    return "int8" if precision == "int8-weights" else precision


class Problem(NamedTuple):
    """Why a target cannot be built: the field that is wrong, and a sentence on it."""

    key: str
    reason: str


@dataclass(frozen=True)
class ProgramKey:
    """Which exported program an artifact is lowered from; artifacts of one key share it.

    Attributes:
        precision: "fp32", "fp16" or "int8".
        keep_float: Sorted patterns of modules that stay in float.
    """

    precision: Precision
    keep_float: tuple[str, ...] = ()


@dataclass(frozen=True)
class Target:
    """One artifact to build.

    Attributes:
        runtime: What runs it.
        precision: Of its arithmetic.
        input_layout: How it takes the image; None is the runtime's best.
        deployment_target: Lowest iOS that must load it, where Core ML is inside; None is
            `DEFAULT_DEPLOYMENT_TARGET`.
        keep_float: Patterns of module names (`mask_head.*`) that int8 leaves in float.
        name: Takes the precision's place in the file name.
    """

    runtime: RuntimeName
    precision: Precision
    input_layout: InputLayout | None = None
    deployment_target: DeploymentTarget | None = None
    keep_float: tuple[str, ...] = ()
    name: str | None = None

    def file_name(self, stem: str) -> str:
        """`nano-int8.pte` and the like."""
        return f"{stem}-{self.name or self.precision}{_SUFFIXES[self.runtime]}"

    @property
    def layout(self) -> InputLayout:
        """How it takes the image."""
        return self.input_layout or input_layouts(self.runtime, self.precision)[0]

    @property
    def lowest_ios(self) -> DeploymentTarget | None:
        """Lowest iOS that must load it; None without Core ML inside."""
        if self.runtime not in _CORE_ML:
            return None
        return self.deployment_target or DEFAULT_DEPLOYMENT_TARGET

    @property
    def program(self) -> ProgramKey:
        """The program it is lowered from."""
        return ProgramKey(program_precision(self.precision), tuple(sorted({*self.keep_float})))

    def problem(self) -> Problem | None:
        """The first reason why this cannot be built, or None."""
        checks = (
            self._precision_problem,
            self._layout_problem,
            self._deployment_problem,
            self._float_problem,
            self._name_problem,
        )
        return next((found for check in checks if (found := check())), None)

    def _precision_problem(self) -> Problem | None:
        offered = PRECISIONS[self.runtime]
        if self.precision in offered:
            return None
        reason = f"{self.runtime} has no {self.precision}: choose from {', '.join(offered)}"
        return Problem("precision", reason)

    def _layout_problem(self) -> Problem | None:
        offered = input_layouts(self.runtime, self.precision)
        if self.layout in offered:
            return None
        what = f"{self.precision} of {self.runtime}"
        reason = f"{what} does not take '{self.layout}': choose from {', '.join(offered)}"
        return Problem("input_layout", reason)

    def _deployment_problem(self) -> Problem | None:
        if self.deployment_target is None:
            return None
        if self.runtime not in _CORE_ML:
            reason = f"{self.runtime} has no deployment target, only Core ML has: leave it out"
            return Problem("deployment_target", reason)
        lowest = _LOWEST_TARGET[self.precision]
        if self.runtime == "executorch-coreml":
            lowest = max(lowest, _LOWEST_OF_DELEGATE, key=_DEPLOYMENT_TARGETS.index)
        if _DEPLOYMENT_TARGETS.index(self.deployment_target) >= _DEPLOYMENT_TARGETS.index(lowest):
            return None
        what = f"{self.precision} of {self.runtime}"
        reason = f"{what} needs {lowest} or later, not {self.deployment_target}"
        return Problem("deployment_target", reason)

    def _float_problem(self) -> Problem | None:
        if not self.keep_float or program_precision(self.precision) == "int8":
            return None
        reason = f"{self.precision} is float throughout, only int8 keeps some of it: leave it out"
        return Problem("keep_float", reason)

    def _name_problem(self) -> Problem | None:
        if self.name is None:
            return None
        if self.name in _LOWEST_TARGET:
            reason = f"'{self.name}' is a precision, which the file has by itself: take another"
            return Problem("name", reason)
        if len(self.name) <= _LONGEST_NAME and _NAME.fullmatch(self.name):
            return None
        reason = (
            f"'{self.name}' cannot be part of a file name: take at most {_LONGEST_NAME} lower-case "
            "letters and digits, joined by single hyphens"
        )
        return Problem("name", reason)


def find_collision(targets: Sequence[Target]) -> tuple[int, int] | None:
    """Positions of the first two targets that would be written under one file name, or None."""
    seen: dict[str, int] = {}
    for position, target in enumerate(targets):
        earlier = seen.setdefault(target.file_name("*"), position)
        if earlier != position:
            return earlier, position
    return None


def groups_by_program(targets: Sequence[Target]) -> tuple[tuple[Target, ...], ...]:
    """Targets that are lowered from one program together, in the order of the programs."""
    groups: dict[ProgramKey, list[Target]] = {}
    for target in targets:
        groups.setdefault(target.program, []).append(target)
    return tuple(map(tuple, groups.values()))


def saliency_targets(targets: Sequence[Target]) -> tuple[Target, ...]:
    """What to build of the saliency network for these targets.

    Patterns of modules that stay in float are the segmentation network's, so targets that differ
    in nothing else share one saliency artifact; it takes the plain name where one of them has it.
    """
    found: dict[Target, Target] = {}
    for target in targets:
        plain = replace(target, input_layout=target.layout, keep_float=(), name=None)
        if target.name is None or plain not in found:
            found[plain] = replace(plain, name=target.name)
    return tuple(found.values())


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
