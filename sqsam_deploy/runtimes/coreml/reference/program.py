"""A saved ML Program as a plain list of steps."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from sqsam_deploy.errors import ArtifactError
from sqsam_deploy.runtimes.coreml.package import Package
from sqsam_deploy.runtimes.coreml.reference.operators import Operator, find_operator

if TYPE_CHECKING:
    from coremltools.converters.mil import Operation, Var

_DTYPES = {
    "fp16": torch.float16,
    "fp32": torch.float32,
    "int8": torch.int8,
    "uint8": torch.uint8,
    "int16": torch.int16,
    "uint16": torch.int32,
    "int32": torch.int32,
    "bool": torch.bool,
}


@dataclass(frozen=True)
class Reference:
    """A value that an earlier step or a program input provides."""

    name: str


@dataclass(frozen=True)
class Step:
    """One operation.

    Attributes:
        kind: The operator's name in MIL.
        operator: What computes it.
        tensors: Inputs that are tensors: references, constants, or lists of them.
        attributes: The other inputs, as plain values.
        output: The result's name.
        dtype: Type the program declares for the result.
        shape: Sizes it declares.
    """

    kind: str
    operator: Operator
    tensors: Mapping[str, Any]
    attributes: Mapping[str, Any]
    output: str
    dtype: torch.dtype
    shape: tuple[int, ...]

    @cached_property
    def reads(self) -> frozenset[str]:
        """Names of the values it needs."""
        flat = [
            item
            for value in self.tensors.values()
            for item in (value if isinstance(value, list) else [value])
        ]
        return frozenset(item.name for item in flat if isinstance(item, Reference))


@dataclass(frozen=True)
class ReferenceProgram:
    """A function of an ML Program.

    Attributes:
        inputs: Declared shape and type by name.
        steps: In the order of the program.
        outputs: Names of the results.
    """

    inputs: Mapping[str, tuple[tuple[int, ...], torch.dtype]]
    steps: tuple[Step, ...]
    outputs: tuple[str, ...]


def load_program(package: Package) -> ReferenceProgram:
    """Rebuilds the program with its weights.

    Raises:
        ArtifactError: coremltools rejects it, or it holds something the executor does not know.
    """
    _require_known_operators(package)
    function = _load_function(package)
    return ReferenceProgram(
        inputs={name: (_shape(var), _dtype(var)) for name, var in function.inputs.items()},
        steps=tuple(_step(op) for op in function.operations if op.op_type != "const"),
        outputs=tuple(var.name for var in function.outputs),
    )


def _require_known_operators(package: Package) -> None:
    """Before coremltools reads the program: its own errors do not name what is unknown."""
    for function in package.model.mlProgram.functions.values():
        for block in function.block_specializations.values():
            for operation in block.operations:
                if operation.type != "const":
                    find_operator(operation.type)


def _load_function(package: Package) -> Any:
    from sqsam_deploy._internal.upstream.coremltools import coremltools

    coremltools()
    from coremltools.converters.mil.frontend.milproto.load import load

    model = package.model
    try:
        program = load(model, model.specificationVersion, str(package.weights_dir))
    except Exception as error:  # anything a damaged protobuf can cause
        raise ArtifactError(
            f"coremltools cannot rebuild the ML Program in {package.weights_dir.parents[2].name}: "
            f"{' '.join(str(error).split()) or type(error).__name__}"
        ) from error
    if list(program.functions) != ["main"]:
        raise ArtifactError(f"one function 'main' is expected, found {list(program.functions)}")
    return program.functions["main"]


def _step(operation: "Operation") -> Step:
    row = find_operator(operation.op_type)
    given = {name: value for name, value in operation.inputs.items() if value is not None}
    unknown = sorted(set(given) - row.inputs)
    if unknown:
        raise ArtifactError(
            f"the reference executor does not know the input '{unknown[0]}' of the Core ML "
            f"operator '{operation.op_type}'"
        )
    if len(operation.outputs) != 1:
        raise ArtifactError(f"'{operation.op_type}' has {len(operation.outputs)} outputs, not one")
    output = operation.outputs[0]
    return Step(
        kind=operation.op_type,
        operator=row,
        tensors={n: _tensor(value) for n, value in given.items() if n in row.tensors},
        attributes={
            n: _attribute(operation.op_type, n, value)
            for n, value in given.items()
            if n not in row.tensors
        },
        output=output.name,
        dtype=_dtype(output),
        shape=_shape(output),
    )


def _tensor(value: Any) -> Reference | Tensor | list[Any]:
    if isinstance(value, (list, tuple)):
        return [_tensor(item) for item in value]
    if value.op is None or value.op.op_type != "const":
        return Reference(value.name)
    # A copy: constants are views of coremltools' own buffers, some of them not writable.
    return torch.from_numpy(np.array(value.val))


def _attribute(kind: str, name: str, value: Any) -> Any:
    if value.op is None or value.op.op_type != "const":
        raise ArtifactError(f"input '{name}' of the Core ML operator '{kind}' must be constant")
    plain = value.val
    return plain.tolist() if isinstance(plain, (np.ndarray, np.generic)) else plain


def _dtype(var: "Var") -> torch.dtype:
    from coremltools.converters.mil.mil import types

    name = types.builtin_to_string(var.dtype)
    if name not in _DTYPES:
        raise ArtifactError(f"the reference executor does not know the type {name} of {var.name}")
    return _DTYPES[name]


def _shape(var: "Var") -> tuple[int, ...]:
    return tuple(int(size) for size in var.shape)
