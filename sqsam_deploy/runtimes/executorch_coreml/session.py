"""Running a `.pte` with the Core ML delegate on a machine without Core ML."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from typing_extensions import override

from sqsam_deploy._internal.upstream.executorch import parse_file
from sqsam_deploy.artifact.metadata import ArtifactMetadata
from sqsam_deploy.errors import ArtifactError
from sqsam_deploy.runtimes.coreml.reference import ReferenceExecutor
from sqsam_deploy.runtimes.coreml.reference.program import load_program
from sqsam_deploy.runtimes.executorch.pte import FORWARD, readable
from sqsam_deploy.runtimes.executorch.session import read_metadata
from sqsam_deploy.runtimes.executorch_coreml.blob import unpacked
from sqsam_deploy.runtimes.session import Session

_BACKEND = "CoreMLBackend"


@dataclass(frozen=True)
class _Call:
    """The one delegate call of a program: which program input and output each argument is."""

    blob: bytes
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


class DelegateSession(Session):
    """Runs the ML Program of the delegate with the reference executor.

    The program around it has been checked to do nothing but call the delegate.
    """

    def __init__(self, path: Path, metadata: ArtifactMetadata) -> None:
        self.metadata = metadata
        call = _read_call(path)
        with unpacked(call.blob) as model:
            if len(model.inputs) + len(model.outputs) != len(call.inputs) + len(call.outputs):
                raise ArtifactError(f"{path}: the delegate is called with other arguments")
            self._executor = ReferenceExecutor(load_program(model.package))
            self._inputs = {
                name: metadata.inputs[i].name
                for name, i in zip(model.inputs, call.inputs, strict=True)
            }
            self._outputs = {
                name: metadata.outputs[i].name
                for name, i in zip(model.outputs, call.outputs, strict=True)
            }

    @override
    def execute(
        self, feeds: Mapping[str, NDArray[np.generic]]
    ) -> Mapping[str, NDArray[np.generic]]:
        bound = {name: torch.tensor(feeds[source]) for name, source in self._inputs.items()}
        outputs = self._executor.run(bound)
        return {target: outputs[name].float().numpy() for name, target in self._outputs.items()}


def open_session(path: Path, threads: int | None = None) -> Session:
    """Loads a `.pte` with the Core ML delegate; `threads` holds for the process.

    Raises:
        ArtifactError: The file is damaged, or holds anything besides one Core ML delegate.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    return DelegateSession(path, read_metadata(path))


def _read_call(path: Path) -> _Call:
    with readable(path):
        program = parse_file(path.read_bytes())
        plan = next(plan for plan in program.execution_plan if plan.name == FORWARD)
        return _only_call(program, plan)


def _only_call(program: Any, plan: Any) -> _Call:
    instructions = [item.instr_args for chain in plan.chains for item in chain.instructions]
    kinds = [type(instruction).__name__ for instruction in instructions]
    if kinds != ["DelegateCall"] or plan.delegates[0].id != _BACKEND:
        raise ArtifactError(
            f"the .pte does more than call one {_BACKEND} ({', '.join(sorted(set(kinds)))}): "
            "the reference executor cannot run it"
        )
    arguments = instructions[0].args
    blob = program.backend_delegate_data[plan.delegates[0].processed.index].data
    return _Call(
        blob=bytes(blob),
        inputs=tuple(plan.inputs.index(i) for i in arguments if i in plan.inputs),
        outputs=tuple(plan.outputs.index(i) for i in arguments if i in plan.outputs),
    )
