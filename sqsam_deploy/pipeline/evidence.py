"""What an export saw while it ran, kept for its report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sqsam_deploy.folding import FoldStep
from sqsam_deploy.pipeline.agreement import Probe
from sqsam_deploy.prompts import EncodedPrompt
from sqsam_deploy.runtimes.session import RawPrediction, Session

if TYPE_CHECKING:
    from sqsam_deploy.quantization import QuantizedModel

Logits = NDArray[np.float16]


@dataclass(frozen=True)
class Evidence:
    """What was done to the network, and every artifact's answers to the probes.

    Attributes:
        folding: What was folded into what.
        quantized: The int8 programs and their layers; empty where nothing was quantized.
        probes: The photos and prompts, with the float network's answers.
        answers: By artifact: for each probe the logits (sxs) of the mask that the float network
            ranks first, in half precision.
    """

    folding: tuple[FoldStep, ...]
    quantized: "Sequence[QuantizedModel]"
    probes: Sequence[Probe]
    answers: dict[str, list[Logits]] = field(default_factory=dict)

    def expected(self) -> list[Logits]:
        """The float network's answers."""
        return [_best_mask(probe.expected, probe) for probe in self.probes]


class WatchedSession(Session):
    """Passes everything on and keeps a copy; the probes must come in their order.

    Args:
        session: Runs the artifact.
        probes: What it will be run on.
        kept: Takes the answers, as `Evidence.answers` holds them.
    """

    def __init__(self, session: Session, probes: Sequence[Probe], kept: list[Logits]) -> None:
        self.metadata = session.metadata
        self._session, self._probes, self._kept = session, probes, kept

    def run(self, image: NDArray[np.uint8], prompt: EncodedPrompt) -> RawPrediction:
        """What the session itself returns."""
        prediction = self._session.run(image, prompt)
        self._kept.append(_best_mask(prediction, self._probes[len(self._kept)]))
        return prediction

    def _execute(
        self, feeds: Mapping[str, NDArray[np.generic]]
    ) -> Mapping[str, NDArray[np.generic]]:
        return self._session._execute(feeds)


def _best_mask(prediction: RawPrediction, probe: Probe) -> Logits:
    best = int(probe.expected.iou_predictions.argmax())
    logits: Logits = prediction.low_res_masks[best].astype(np.float16)
    return logits
