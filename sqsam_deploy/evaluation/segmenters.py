"""Opening the networks of a plan, and the one way in which the evaluator asks all of them."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sqsam_deploy.errors import UsageError, first_line
from sqsam_deploy.evaluation.plan import Artifact, EvaluationPlan
from sqsam_deploy.model.config import ModelConfig
from sqsam_deploy.model.description import config_of
from sqsam_deploy.peers import Peer, open_peer
from sqsam_deploy.predictor import upsample_masks
from sqsam_deploy.prompts import EncodedPrompt, Prompt, encode_prompt, limit_clicks, prepare_image
from sqsam_deploy.runtimes.registry import is_checkpoint, open_session
from sqsam_deploy.runtimes.session import RawPrediction, Session


class Segmenter(Protocol):
    """A network that answers prompts about photos: an artifact's session, or a peer.

    Photos and prompts are brought into the network's form once, and shared by all segmenters of
    the same `input_key`; only these look inside.
    """

    @property
    def input_key(self) -> str:
        """Equal for two segmenters that take a photo and a prompt in the same way."""

    @property
    def mask_threshold(self) -> float:
        """Logits above it belong to a mask."""

    def prepare(self, image: NDArray[np.uint8]) -> Any:
        """An HxWx3 uint8 RGB photo as the network takes it."""

    def encode(self, prompt: Prompt, image_hw: tuple[int, int]) -> Any:
        """A prompt in pixels of the photo as the network takes it."""

    def run(self, photo: Any, prompt: Any) -> RawPrediction:
        """The network's answer; raises `ArtifactError` where there is none."""

    def mask(self, answer: Any, index: int, image_hw: tuple[int, int]) -> NDArray[np.bool_]:
        """One mask of an answer at the photo's size, HxW bool."""


@dataclass(frozen=True)
class SessionSegmenter:
    """An artifact or checkpoint of this project."""

    session: Session

    @property
    def config(self) -> ModelConfig:
        """Of its preset."""
        return config_of(self.session.metadata)

    @property
    def input_key(self) -> str:
        """See `Segmenter`."""
        return self.session.metadata.preset

    @property
    def mask_threshold(self) -> float:
        """See `Segmenter`."""
        return self.session.metadata.mask_threshold

    def prepare(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The input square."""
        return prepare_image(image, self.config)

    def encode(self, prompt: Prompt, image_hw: tuple[int, int]) -> EncodedPrompt:
        """See `Segmenter`."""
        return encode_prompt(limit_clicks(prompt, self.config.max_clicks), image_hw, self.config)

    def run(self, photo: NDArray[np.uint8], prompt: EncodedPrompt) -> RawPrediction:
        """See `Segmenter`."""
        return self.session.run(photo, prompt)

    def mask(
        self, answer: RawPrediction, index: int, image_hw: tuple[int, int]
    ) -> NDArray[np.bool_]:
        """See `Segmenter`."""
        logits = upsample_masks(answer.low_res_masks[index][None], image_hw)[0]
        mask: NDArray[np.bool_] = logits > self.mask_threshold
        return mask


def open_artifact(artifact: Artifact, plan: EvaluationPlan) -> Segmenter:
    """Loads a network with the plan's threads; checkpoints run on the plan's device.

    Raises:
        UsageError: torch does not have that device.
        SqsamError: The artifact cannot be opened.
    """
    if isinstance(artifact.metadata, Peer):
        return open_peer(artifact.metadata, plan.threads)
    if not is_checkpoint(artifact.path) or plan.device == "cpu":
        return SessionSegmenter(open_session(artifact.path, plan.threads))
    from sqsam_deploy.checkpoint import load_checkpoint
    from sqsam_deploy.runtimes.torch import TorchSession

    checkpoint = load_checkpoint(artifact.path)
    try:
        return SessionSegmenter(TorchSession(checkpoint, plan.device))
    except (RuntimeError, AssertionError) as error:
        # torch built without CUDA raises AssertionError, an unknown name RuntimeError.
        raise UsageError(f"--device {plan.device} cannot be used: {first_line(error)}") from None
