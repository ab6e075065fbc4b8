"""The table of operators: name in a MIL program -> function in torch.

A function's parameters are the operator's inputs, under MIL's names and with MIL's defaults. What
is annotated as a tensor may be computed by the program; everything else is an attribute and must
be constant. An input that a function does not list is an error, so nothing is silently ignored.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar, get_type_hints

from torch import Tensor

from sqsam_deploy.errors import ArtifactError

Function = TypeVar("Function", bound=Callable[..., Tensor])


@dataclass(frozen=True)
class Operator:
    """One row: the function, and which of its inputs are tensors or lists of tensors."""

    function: Callable[..., Tensor]
    inputs: frozenset[str]
    tensors: frozenset[str]


_TENSOR_HINTS = (Tensor, Tensor | None, list[Tensor])
_TABLE: dict[str, Operator] = {}


def operator(function: Function) -> Function:
    """Puts a function into the table under its own name, without a trailing underscore."""
    hints: dict[str, Any] = get_type_hints(function)
    names = frozenset(inspect.signature(function).parameters)
    tensors = frozenset(name for name in names if hints[name] in _TENSOR_HINTS)
    _TABLE[function.__name__.rstrip("_")] = Operator(function, names, tensors)
    return function


def find_operator(name: str) -> Operator:
    """The row of an operator.

    Raises:
        ArtifactError: The reference executor does not know it.
    """
    if name not in _TABLE:
        raise ArtifactError(f"the reference executor does not know the Core ML operator '{name}'")
    return _TABLE[name]


def operator_names() -> tuple[str, ...]:
    """Every operator the reference executor knows, sorted."""
    return tuple(sorted(_TABLE))
