"""A `.pte`: what its delegates take, and what is left outside."""

from dataclasses import dataclass
from pathlib import Path

from sqsam_deploy.export_report.operators.counts import OperatorCount, counted
from sqsam_deploy.export_report.size_breakdown.pte import PteFile, open_pte
from sqsam_deploy.export_report.size_breakdown.xnnpack import (
    Arithmetic,
    XnnpackGraph,
    parse_delegate,
)


@dataclass(frozen=True)
class DelegatedOperators:
    """The operators of a `.pte` with XNNPACK's delegate.

    Attributes:
        delegate_calls: Times an inference enters the delegate.
        outside: Operators that ExecuTorch's own kernels run, between the calls.
        int8: Operators in the delegate whose result is int8.
        in_float: Operators in the delegate whose result is in floating point.
        conversions: Quantizing and dequantizing in the delegate.
    """

    delegate_calls: int
    outside: tuple[OperatorCount, ...]
    int8: tuple[OperatorCount, ...]
    in_float: tuple[OperatorCount, ...]
    conversions: tuple[OperatorCount, ...]


def delegated_operators(path: Path) -> DelegatedOperators:
    """Reads them from the file, as it will run.

    Raises:
        ArtifactError: The file is damaged.
    """
    file = open_pte(path)
    calls, outside = _instructions(file)
    graphs = [parse_delegate(file.segment(index)) for _, index in file.delegates()]
    return DelegatedOperators(
        delegate_calls=calls,
        outside=outside,
        int8=_of(graphs, "int8"),
        in_float=_of(graphs, "float"),
        conversions=_of(graphs, "conversion"),
    )


def _instructions(file: PteFile) -> tuple[int, tuple[OperatorCount, ...]]:
    from executorch.exir.schema import DelegateCall, KernelCall

    steps = [step.instr_args for chain in file.plan.chains for step in chain.instructions]
    kernels = [step for step in steps if isinstance(step, KernelCall)]
    names = [file.plan.operators[step.op_index].name for step in kernels]
    return sum(isinstance(step, DelegateCall) for step in steps), counted(names)


def _of(graphs: list[XnnpackGraph], wanted: Arithmetic) -> tuple[OperatorCount, ...]:
    operators = (operator for graph in graphs for operator in graph.operators())
    return counted(name for name, arithmetic in operators if arithmetic == wanted)
