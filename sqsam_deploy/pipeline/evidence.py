"""Evidence of an export, kept for its report."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqsam_deploy.folding import FoldStep
from sqsam_deploy.networks.agreement import Probe, best_mask
from sqsam_deploy.networks.base import Logits
from sqsam_deploy.runtimes.device import DeviceCheck

if TYPE_CHECKING:
    from sqsam_deploy.quantization import QuantizedModel


@dataclass(frozen=True)
class Evidence:
    """The changes to the network, and every artifact's answers to the probes.

    Attributes:
        folding: What was folded into what.
        quantized: The int8 programs and their layers; empty where nothing was quantized.
        probes: The photos and prompts, with the float network's answers.
        answers: By artifact: for each probe the logits (sxs) of the mask that the float network
            ranks first, in half precision.
        checks: By artifact: the rules of phones and their outcomes.
    """

    folding: tuple[FoldStep, ...]
    quantized: "Sequence[QuantizedModel]"
    probes: Sequence[Probe]
    answers: dict[str, list[Logits]] = field(default_factory=dict)
    checks: dict[str, tuple[DeviceCheck, ...]] = field(default_factory=dict)

    def expected(self) -> list[Logits]:
        """The float network's answers."""
        return [best_mask(probe.expected, probe) for probe in self.probes]
