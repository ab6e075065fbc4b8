"""The saliency network: an image to the map that picks the clicks."""

import copy
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sqsam_deploy._internal.geometry import mask_iou
from sqsam_deploy.artifact.manifest import Agreement, WeightsEntry
from sqsam_deploy.artifact.metadata import (
    ArtifactMetadata,
    DeploymentTarget,
    PrecisionName,
    RuntimeName,
)
from sqsam_deploy.checkpoint.bundled import weights_file
from sqsam_deploy.checkpoint.matching import as_float32, match_keys
from sqsam_deploy.checkpoint.reading import read_state_file
from sqsam_deploy.datasets import Dataset, ImageRecord
from sqsam_deploy.datasets.annotated import load_photos
from sqsam_deploy.folding.conv_norm import fold_blocks, fold_conv_bn, fold_pixel_scaling
from sqsam_deploy.folding.steps import FoldStep
from sqsam_deploy.model.description import describe_saliency
from sqsam_deploy.model.saliency import SALIENCY, SaliencyConfig, SaliencyNet
from sqsam_deploy.networks.base import (
    Calibration,
    Comparison,
    FoldedNetwork,
    Measured,
    Network,
)
from sqsam_deploy.prompts.image import check_image, stretch_filtered
from sqsam_deploy.prompts.saliency import SaliencyClicks, saliency_clicks, saliency_of_logits
from sqsam_deploy.runtimes.session import Session


@dataclass(frozen=True)
class SaliencyCheckpoint:
    """A saliency network with trained weights.

    Attributes:
        model: float32, in eval mode.
        name: The file's name.
        sha256: Of the file's bytes, lower-case hex.
        license: The license note among the file's metadata.
    """

    model: SaliencyNet
    name: str
    sha256: str
    license: str | None

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
    return SaliencyCheckpoint(model.eval(), path.name, digest, state.license)


def square_of(image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """The photo as a saliency network takes it: HxWx3 -> SxSx3.

    Raises:
        DataError: The array is not HxWx3 uint8.
    """
    check_image(image)
    return stretch_filtered(image, (size, size))


class TorchSaliency:
    """A saliency checkpoint in float32."""

    def __init__(self, model: SaliencyNet) -> None:
        self._model = model

    @torch.inference_mode()
    def saliency_map(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Saliency of a photo; see `saliency.SaliencyModel`."""
        square = square_of(image, self._model.config.image_size)
        return saliency_of_logits(self._model(*_as_input(square))[0, 0].numpy())

    def clicks(self, image: NDArray[np.uint8]) -> SaliencyClicks:
        """The clicks on what is salient in a photo, HxWx3 uint8 RGB."""
        return saliency_clicks(self.saliency_map(image))


class FoldedSaliency(nn.Module):
    """A saliency network without norms and pixel arithmetic. 1x3xSxS, 0 to 255 -> 1x1xsxs."""

    def __init__(self, model: SaliencyNet) -> None:
        super().__init__()
        self.encoder, self.decoder, self.head = model.encoder, model.decoder, model.head

    def forward(self, image: Tensor) -> Tensor:
        """Logits of the saliency map."""
        *skips, x = self.encoder(image)
        for level, skip in zip(self.decoder, reversed(skips), strict=True):
            x = level(x, skip)
        logits: Tensor = self.head(x)
        return logits


def fold_saliency(model: SaliencyNet) -> tuple[FoldedSaliency, tuple[FoldStep, ...]]:
    """The same function up to float32 rounding, all norms inside convolutions.

    `model` is not modified.

    Returns:
        The network, and what was folded into what.
    """
    work = copy.deepcopy(model).eval().requires_grad_(False)
    assert isinstance(work.encoder.patch_embedding, nn.Sequential)
    conv, norm = work.encoder.patch_embedding
    assert isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d)
    scaled = fold_pixel_scaling(conv, work.pixel_mean, work.pixel_std)
    embedding = "encoder.patch_embedding"
    work.set_submodule(embedding, fold_conv_bn(scaled, norm))
    steps = (
        FoldStep("pixel_mean, pixel_std", "pixel scaling", (embedding,)),
        FoldStep(f"{embedding}.1", "conv-bn", (embedding,)),
        *fold_blocks(work),
    )
    return FoldedSaliency(work).eval().requires_grad_(False), steps


class SaliencyNetwork(Network):
    """A saliency checkpoint."""

    def __init__(self, checkpoint: SaliencyCheckpoint) -> None:
        self._checkpoint = checkpoint
        self._size = checkpoint.config.image_size
        self.name = checkpoint.config.name
        self.weights = WeightsEntry(
            name=checkpoint.name, sha256=checkpoint.sha256, license=checkpoint.license
        )
        self.weight_count = sum(value.numel() for value in checkpoint.model.parameters())

    def fold(self) -> FoldedNetwork:
        """See `Network.fold`."""
        network, steps = fold_saliency(self._checkpoint.model)

        def half_precision() -> nn.Module:
            return _HalfPrecision(copy.deepcopy(network).half())

        example = (torch.full((1, 3, self._size, self._size), 127.0),)
        return FoldedNetwork(network, half_precision, example, steps)

    def calibration(self, photos: Dataset, seed: int) -> Calibration:
        """The photos alone; there is nothing to draw."""
        return Calibration([_as_input(square) for square in self._squares(photos)])

    def comparison(self, photos: Sequence[ImageRecord]) -> "SaliencyComparison":
        """The network's answers to the photos."""
        with torch.inference_mode():
            return SaliencyComparison(
                tuple(
                    (square, self._checkpoint.model(*_as_input(square))[0, 0].numpy())
                    for square in self._squares(Dataset("comparison", tuple(photos)))
                )
            )

    def declare(
        self, runtime: RuntimeName, precision: PrecisionName, target: DeploymentTarget | None
    ) -> ArtifactMetadata:
        """See `Network.declare`."""
        return describe_saliency(
            self._checkpoint.config,
            runtime=runtime,
            precision=precision,
            weights_sha256=self.weights.sha256,
            deployment_target=target,
        )

    def _squares(self, photos: Dataset) -> list[NDArray[np.uint8]]:
        return [square_of(image, self._size) for image in load_photos(photos)]


@dataclass(frozen=True)
class SaliencyComparison(Comparison):
    """The salient area (saliency over one half) and the logits, against the float network's.

    Attributes:
        expected: Photos of the network's size, SxSx3 uint8, and the float logits, sxs, on them.
    """

    expected: tuple[tuple[NDArray[np.uint8], NDArray[np.float32]], ...]
    measure_of = "mean IoU of the salient area on the comparison photos"

    def measure(self, session: Session, *, limit: float, executor: str) -> Measured:
        """See `Comparison.measure`."""
        pairs = [(session.run_saliency(square), logits) for square, logits in self.expected]
        ious = [mask_iou(a > 0, b > 0) for a, b in pairs]
        agreement = Agreement(
            images=len(pairs),
            prompts=len(pairs),
            mean_mask_iou=float(np.mean(ious)),
            min_mask_iou=min(ious),
            max_logit_difference=max(float(np.abs(a - b).max()) for a, b in pairs),
            max_iou_difference=0.0,
            limit=limit,
            executor=executor,
        )
        return Measured(agreement)


def _as_input(square: NDArray[np.uint8]) -> tuple[Tensor]:
    """A photo of the network's size as its input: SxSx3 -> 1x3xSxS float32."""
    return (torch.tensor(square).permute(2, 0, 1)[None].float(),)


class _HalfPrecision(nn.Module):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        logits: Tensor = self.network(image.half())
        return logits.float()
