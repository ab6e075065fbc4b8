"""Runs the steps of an ML Program, one after the other, on CPU."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from sqsam_deploy.errors import ArtifactError
from sqsam_deploy.runtimes.coreml.reference.program import Reference, ReferenceProgram, Step


class ReferenceExecutor:
    """Interprets a program, rounding each result to the type the program declares for it.

    Half precision is computed in float32 and rounded after each operator, as a device with a wide
    accumulator does. Compressed weights are expanded once, here.

    Example:
        >>> executor = ReferenceExecutor(load_program(read_package(path)))
        >>> outputs = executor.run({"image": image, "prompt_maps": maps})
    """

    def __init__(self, program: ReferenceProgram) -> None:
        self._program = program
        self._constants = _expand_constants(program.steps)
        self._steps = tuple(s for s in program.steps if s.output not in self._constants)
        self._releases = _releases(self._steps, program.outputs)

    @torch.inference_mode()
    def run(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Outputs by name.

        Args:
            inputs: Every input of the program, of the declared shape; cast to its type.

        Raises:
            ArtifactError: An input is missing or misshapen, or a step contradicts its declaration.
        """
        values = dict(self._constants)
        for name, (shape, dtype) in self._program.inputs.items():
            values[name] = _bound(name, shape, dtype, inputs)
        for step, released in zip(self._steps, self._releases, strict=True):
            values[step.output] = compute(step, values)
            for name in released:
                del values[name]
        return {name: values[name] for name in self._program.outputs}


def compute(step: Step, values: Mapping[str, Tensor]) -> Tensor:
    """The result of one step, rounded to its declared type.

    Raises:
        ArtifactError: The result has another shape than the program declares.
    """
    tensors = {name: _resolve(value, values) for name, value in step.tensors.items()}
    result = step.operator.function(**tensors, **step.attributes)
    if tuple(result.shape) != step.shape:
        raise ArtifactError(
            f"'{step.output}' ({step.kind}) came out as {tuple(result.shape)}, "
            f"but the ML Program declares {step.shape}"
        )
    return result.to(step.dtype)


def _resolve(value: Any, values: Mapping[str, Tensor]) -> Any:
    if isinstance(value, list):
        return [_resolve(item, values) for item in value]
    tensor = values[value.name] if isinstance(value, Reference) else value
    return tensor.float() if tensor.dtype == torch.float16 else tensor


def _expand_constants(steps: tuple[Step, ...]) -> dict[str, Tensor]:
    """Weights of `constexpr_` steps, which depend on nothing but the file."""
    constants: dict[str, Tensor] = {}
    for step in steps:
        if step.kind.startswith("constexpr_"):
            constants[step.output] = compute(step, constants)
    return constants


def _releases(steps: tuple[Step, ...], outputs: tuple[str, ...]) -> list[list[str]]:
    """For each step, the values that no later step reads."""
    last_read = {name: i for i, step in enumerate(steps) for name in step.reads}
    produced = {step.output: i for i, step in enumerate(steps)}
    # A result nobody reads goes at once.
    last_use = {**produced, **last_read}
    releases: list[list[str]] = [[] for _ in steps]
    for name, i in last_use.items():
        if name not in outputs:
            releases[i].append(name)
    return releases


def _bound(
    name: str, shape: tuple[int, ...], dtype: torch.dtype, inputs: Mapping[str, Tensor]
) -> Tensor:
    if name not in inputs:
        raise ArtifactError(f"the ML Program needs an input '{name}'")
    value = inputs[name]
    if tuple(value.shape) != shape:
        raise ArtifactError(f"input '{name}' takes {shape}, got {tuple(value.shape)}")
    return value.to(dtype)
