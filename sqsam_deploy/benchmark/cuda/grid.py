"""Which ways of running a network on a GPU are measured."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqsam_deploy.errors import UsageError

PRECISIONS = ("fp32", "tf32", "fp16", "bf16")
MODES = ("eager", "compiled", "cuda-graph")
BATCHES = (1, 8, 64)


@dataclass(frozen=True)
class Case:
    """One way.

    Attributes:
        mode: "eager", "compiled" (torch.compile), or "cuda-graph" (eager, captured once).
        precision: Of weights and activations; "tf32" is fp32 with TF32 products.
        channels_last: Whether maps are NHWC in memory.
        batch: Images in one inference.
    """

    mode: str
    precision: str
    channels_last: bool
    batch: int

    @property
    def variant(self) -> str:
        """As result files name it."""
        return f"{self.mode}, channels last" if self.channels_last else self.mode


def cases(
    modes: Sequence[str] = MODES,
    precisions: Sequence[str] = PRECISIONS,
    batches: Sequence[int] = BATCHES,
) -> tuple[Case, ...]:
    """All cases of a choice, batch by batch.

    Both memory formats are measured in eager mode; the other two take channels last, which the
    tensor cores want.

    Raises:
        UsageError: A mode or a precision is unknown, or a batch is below 1.
    """
    _check(modes, MODES, "mode")
    _check(precisions, PRECISIONS, "precision")
    if any(batch < 1 for batch in batches):
        raise UsageError("a batch holds at least one image")
    return tuple(
        Case(mode, precision, channels_last, batch)
        for batch in batches
        for mode in modes
        for precision in precisions
        for channels_last in ((False, True) if mode == "eager" else (True,))
    )


def _check(chosen: Sequence[str], known: Sequence[str], what: str) -> None:
    for name in chosen:
        if name not in known:
            raise UsageError(f"unknown {what} '{name}': choose from {', '.join(known)}")
