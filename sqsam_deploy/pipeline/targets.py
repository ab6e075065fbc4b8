"""Targets of an export: artifacts, each for one runtime at one precision."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, get_args

from sqsam_deploy.artifact.metadata import DeploymentTarget, InputLayout, PrecisionName, RuntimeName
from sqsam_deploy.errors import UsageError
from sqsam_deploy.networks.precisions import PRECISIONS
from sqsam_deploy.runtimes.base import Runtime
from sqsam_deploy.runtimes.registry import all_runtimes, find_runtime

_DEPLOYMENT_TARGETS: tuple[DeploymentTarget, ...] = get_args(DeploymentTarget)

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_LONGEST_NAME = 40


class Problem(NamedTuple):
    """Why a target cannot be built: the field that is wrong, and a sentence on it."""

    key: str
    reason: str


@dataclass(frozen=True)
class ProgramKey:
    """Which exported program an artifact is lowered from; artifacts of one key share it.

    Attributes:
        precision: The one whose program it is: "fp32", "fp16", "int8".
        keep_float: Sorted patterns of modules that stay in float.
    """

    precision: PrecisionName
    keep_float: tuple[str, ...] = ()


@dataclass(frozen=True)
class Target:
    """One artifact to build.

    Attributes:
        runtime: What runs it.
        precision: Of its arithmetic.
        input_layout: How it takes the image; None is the runtime's best.
        deployment_target: Lowest iOS that must load it, for runtimes that have such targets; None
            is `DEFAULT_DEPLOYMENT_TARGET`, or what the precision needs.
        keep_float: Patterns of module names (`mask_head.*`) that int8 leaves in float.
        name: Takes the precision's place in the file name.
        options: Names and values of the runtime's own options; what is left out is its default.
    """

    runtime: RuntimeName
    precision: PrecisionName
    input_layout: InputLayout | None = None
    deployment_target: DeploymentTarget | None = None
    keep_float: tuple[str, ...] = ()
    name: str | None = None
    options: tuple[tuple[str, str], ...] = ()

    @property
    def deployed_on(self) -> Runtime:
        """The runtime itself.

        Raises:
            UsageError: There is none of that name.
        """
        return find_runtime(self.runtime)

    def file_name(self, stem: str) -> str:
        """`nano-int8.pte` and the like."""
        return f"{stem}-{self.name or self.precision}{self.deployed_on.ending}"

    @property
    def layout(self) -> InputLayout:
        """How it takes the image."""
        return self.input_layout or self.deployed_on.layouts[self.precision][0]

    @property
    def lowest_ios(self) -> DeploymentTarget | None:
        """Lowest iOS that must load it; None where the runtime has no such targets."""
        return self.deployed_on.deployment_target(self.precision, self.deployment_target)

    @property
    def program(self) -> ProgramKey:
        """The program it is lowered from."""
        return ProgramKey(PRECISIONS[self.precision].program, tuple(sorted({*self.keep_float})))

    @property
    def all_options(self) -> dict[str, str]:
        """A value for every option of its runtime and precision."""
        return self.deployed_on.chosen_options(self.precision, dict(self.options))

    def problem(self) -> Problem | None:
        """The first reason why this cannot be built, or None."""
        checks = (
            self._runtime_problem,
            self._precision_problem,
            self._layout_problem,
            self._deployment_problem,
            self._options_problem,
            self._float_problem,
            self._name_problem,
        )
        return next((found for check in checks if (found := check())), None)

    def _runtime_problem(self) -> Problem | None:
        try:
            _ = self.deployed_on
        except UsageError as error:
            return Problem("runtime", str(error))
        return None

    def _precision_problem(self) -> Problem | None:
        offered = self.deployed_on.precisions
        if self.precision in offered:
            return None
        reason = f"{self.runtime} has no {self.precision}: choose from {', '.join(offered)}"
        return Problem("precision", reason)

    def _layout_problem(self) -> Problem | None:
        offered = self.deployed_on.layouts[self.precision]
        if self.layout in offered:
            return None
        what = f"{self.precision} of {self.runtime}"
        reason = f"{what} does not take '{self.layout}': choose from {', '.join(offered)}"
        return Problem("input_layout", reason)

    def _deployment_problem(self) -> Problem | None:
        if self.deployment_target is None:
            return None
        offered = self.deployed_on.deployment_targets
        if not offered:
            reason = f"{self.runtime} has no deployment target, only Core ML has: leave it out"
            return Problem("deployment_target", reason)
        lowest = offered[self.precision]
        if _DEPLOYMENT_TARGETS.index(self.deployment_target) >= _DEPLOYMENT_TARGETS.index(lowest):
            return None
        what = f"{self.precision} of {self.runtime}"
        reason = f"{what} needs {lowest} or later, not {self.deployment_target}"
        return Problem("deployment_target", reason)

    def _options_problem(self) -> Problem | None:
        offered = self.deployed_on.options.get(self.precision, {})
        what = f"{self.precision} of {self.runtime}"
        for name, value in self.options:
            if name not in offered:
                known = f"choose from {', '.join(offered)}" if offered else "it has none"
                return Problem("options", f"{what} has no option '{name}': {known}")
            if value not in offered[name]:
                values = ", ".join(offered[name])
                return Problem("options", f"{name} cannot be '{value}': choose from {values}")
        return None

    def _float_problem(self) -> Problem | None:
        if not self.keep_float or PRECISIONS[self.precision].is_quantized:
            return None
        reason = f"{self.precision} is float throughout, only int8 keeps some of it: leave it out"
        return Problem("keep_float", reason)

    def _name_problem(self) -> Problem | None:
        if self.name is None:
            return None
        if self.name in PRECISIONS:
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


def targets_beside(targets: Sequence[Target]) -> tuple[Target, ...]:
    """The targets of a second network that go with these.

    Patterns of modules that stay in float are the first network's, so targets that differ in
    nothing else share one artifact of the second; it takes the plain name where one of them has it.
    """
    found: dict[Target, Target] = {}
    for target in targets:
        plain = replace(target, input_layout=target.layout, keep_float=(), name=None)
        if target.name is None or plain not in found:
            found[plain] = replace(plain, name=target.name)
    return tuple(found.values())


def default_runtimes() -> tuple[RuntimeName, ...]:
    """The default targets of an export."""
    return tuple(runtime.name for runtime in all_runtimes() if runtime.is_default)


def parse_runtimes(names: Sequence[str]) -> tuple[RuntimeName, ...]:
    """Runtime names as somebody typed them, in the order of the registry.

    Raises:
        UsageError: There is no runtime of that name.
    """
    chosen = {find_runtime(name).name for name in names}
    return tuple(runtime.name for runtime in all_runtimes() if runtime.name in chosen)


def targets_for(
    runtimes: Sequence[RuntimeName], precisions: Sequence[PrecisionName]
) -> tuple[Target, ...]:
    """All wanted pairs that exist; a precision brings along those that share its program.

    Raises:
        UsageError: None of the runtimes has any of the precisions.
    """
    wanted = {name for name, entry in PRECISIONS.items() if {name, entry.program} & {*precisions}}
    targets = tuple(
        Target(runtime, precision)
        for runtime in runtimes
        for precision in find_runtime(runtime).precisions
        if precision in wanted
    )
    if not targets:
        offered = "; ".join(f"{n}: {', '.join(find_runtime(n).precisions)}" for n in runtimes)
        raise UsageError(f"nothing to build: these runtimes have other precisions ({offered})")
    return targets
