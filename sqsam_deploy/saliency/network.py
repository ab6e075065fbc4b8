"""The saliency network's own weights, run in torch or as an exported artifact."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from sqsam_deploy.checkpoint.bundled import weights_file
from sqsam_deploy.checkpoint.matching import as_float32, match_keys
from sqsam_deploy.checkpoint.reading import read_state_file
from sqsam_deploy.model.saliency import SALIENCY, SaliencyConfig, SaliencyNet
from sqsam_deploy.prompts.image import check_image, stretch_filtered
from sqsam_deploy.runtimes.session import Session
from sqsam_deploy.saliency.model import heat_of_logits


@dataclass(frozen=True)
class SaliencyCheckpoint:
    """A saliency network with trained weights.

    Attributes:
        model: float32, in eval mode.
        name: The file's name.
        sha256: Of the file's bytes, lower-case hex.
        licence: The licence note among the file's metadata.
    """

    model: SaliencyNet
    name: str
    sha256: str
    licence: str | None

    @property
    def config(self) -> SaliencyConfig:
        """The network's configuration."""
        return self.model.config


def load_saliency(source: Path | str = "saliency") -> SaliencyCheckpoint:
    """Reads a saliency network's weights: the bundled ones, or a file.

    Raises:
        CheckpointError: The file is missing, damaged, unsafe or of another network.
    """
    path = weights_file(source)
    state = read_state_file(path)
    with torch.random.fork_rng(devices=[]):
        model = SaliencyNet(SALIENCY)
    shapes = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    tensors = match_keys(state.tensors, shapes, SALIENCY.name, path)
    model.load_state_dict(as_float32(tensors, path))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return SaliencyCheckpoint(model.eval(), path.name, digest, state.metadata.get("licence"))


class TorchSaliency:
    """A saliency checkpoint in float32."""

    def __init__(self, model: SaliencyNet) -> None:
        self._model = model

    @torch.inference_mode()
    def saliency_map(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Heat of a photo; see `SaliencyModel`."""
        square = square_of(image, self._model.config.image_size)
        pixels = torch.tensor(square).permute(2, 0, 1)[None].float()
        return heat_of_logits(self._model(pixels)[0, 0].numpy())


class ArtifactSaliency:
    """An exported saliency network on any runtime."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def saliency_map(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Heat of a photo; see `SaliencyModel`."""
        square = square_of(image, self._session.metadata.image_size)
        return heat_of_logits(self._session.run_saliency(square))


def square_of(image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """The photo as a saliency network takes it: HxWx3 -> SxSx3.

    Raises:
        DataError: The array is not HxWx3 uint8.
    """
    check_image(image)
    return stretch_filtered(image, (size, size))
