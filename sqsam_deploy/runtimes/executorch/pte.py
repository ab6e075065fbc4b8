"""A `.pte` file, opened: its program and the segments behind it.

Structure: executorch `schema/program.fbs` and `schema/extended_header.h`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqsam_deploy._internal.upstream.executorch import parse_program
from sqsam_deploy.errors import ArtifactError, SqsamError
from sqsam_deploy.runtimes.executorch.container import check_container

if TYPE_CHECKING:
    from executorch.exir.schema import Program

FORWARD = "forward"


@dataclass(frozen=True)
class PteFile:
    """A parsed program whose data are still in their segments.

    Attributes:
        content: The whole file.
        program: The parsed flatbuffer.
        program_size: Bytes of the flatbuffer, the extended header included.
        segment_base: Where the first segment starts.
    """

    content: bytes
    program: "Program"
    program_size: int
    segment_base: int

    def segment(self, index: int) -> bytes:
        """Bytes of one segment."""
        place = self.program.segments[index]
        start = self.segment_base + place.offset
        return self.content[start : start + place.size]

    @property
    def plan(self) -> Any:
        """The network's method."""
        return next(plan for plan in self.program.execution_plan if plan.name == FORWARD)

    def calls(self, kind: str) -> list[Any]:
        """The network's instructions of one kind, such as "KernelCall"."""
        steps = (step.instr_args for chain in self.plan.chains for step in chain.instructions)
        return [step for step in steps if type(step).__name__ == kind]

    def blobs(self) -> list[tuple[str, bytes]]:
        """Backend and content of each of the network's delegates."""
        return [(each.id, self.segment(each.processed.index)) for each in self.plan.delegates]


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turns whatever a damaged flatbuffer can cause into a sentence.

    Raises:
        ArtifactError: Something inside the block failed, other than with an error of this package.
    """
    try:
        yield
    except SqsamError:
        raise
    except Exception as error:
        raise ArtifactError(
            f"{path} is no readable ExecuTorch program ({type(error).__name__}): export it again"
        ) from None


def open_pte(path: Path) -> PteFile:
    """Reads a file.

    Raises:
        ArtifactError: It is damaged, or no method of it is the network.
    """
    check_container(path)
    content = path.read_bytes()
    # Bytes 16 to 24 and 24 to 32: see `extended_header.h`.
    size, base = (int.from_bytes(content[at : at + 8], "little") for at in (16, 24))
    with readable(path):
        program = parse_program(content[:size])
    if FORWARD not in [plan.name for plan in program.execution_plan]:
        raise ArtifactError(f"{path} has no method '{FORWARD}': export it again")
    return PteFile(content, program, size, base)
