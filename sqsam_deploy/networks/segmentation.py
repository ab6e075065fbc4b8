"""The segmentation network: an image, clicks and a box to masks."""

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sqsam_deploy.artifact.manifest import WeightsEntry
from sqsam_deploy.artifact.metadata import (
    ArtifactMetadata,
    DeploymentTarget,
    PrecisionName,
    RuntimeName,
)
from sqsam_deploy.checkpoint import Checkpoint
from sqsam_deploy.datasets import Dataset, ImageRecord
from sqsam_deploy.folding import example_inputs, fold
from sqsam_deploy.model.description import describe
from sqsam_deploy.networks.agreement import PromptComparison, make_probes
from sqsam_deploy.networks.base import Calibration, FoldedNetwork, Network
from sqsam_deploy.networks.saliency import TorchSaliency, load_saliency
from sqsam_deploy.prompts import Prompt
from sqsam_deploy.prompts.sampling import foreground

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import nn

    from sqsam_deploy.quantization.calibration import PhotoPrompt


class SegmentationNetwork(Network):
    """A SqueezeSAM checkpoint."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._checkpoint = checkpoint
        self.name = checkpoint.config.name
        self.weights = WeightsEntry(
            name=checkpoint.name, sha256=checkpoint.sha256, license=checkpoint.license
        )
        self.weight_count = sum(value.numel() for value in checkpoint.model.parameters())

    def fold(self) -> FoldedNetwork:
        """See `Network.fold`."""
        folded = fold(self._checkpoint.model)

        def half_precision() -> "nn.Module":
            from sqsam_deploy.quantization.float_programs import half_precision_network

            return half_precision_network(folded)

        example = example_inputs(folded.config)
        return FoldedNetwork(folded.network, half_precision, example, folded.steps)

    def calibration(self, photos: Dataset, seed: int) -> Calibration:
        """Photos with the prompts that the network was trained on."""
        from sqsam_deploy.quantization import build_calibration

        config = self._checkpoint.config
        samples = build_calibration(photos, config, seed=seed, salient=_salient_prompts())
        return Calibration(samples, samples.entry)

    def comparison(self, photos: Sequence[ImageRecord]) -> PromptComparison:
        """One input per prompt kind and photo: a click, a box, a box with a click, nothing."""
        from sqsam_deploy.runtimes.torch import TorchSession

        probes = make_probes(photos, TorchSession(self._checkpoint), self._checkpoint.config)
        return PromptComparison(probes, images=len(photos))

    def declare(
        self, runtime: RuntimeName, precision: PrecisionName, target: DeploymentTarget | None
    ) -> ArtifactMetadata:
        """See `Network.declare`."""
        return describe(
            self._checkpoint.config,
            runtime=runtime,
            precision=precision,
            weights_sha256=self.weights.sha256,
            deployment_target=target,
        )


def _salient_prompts() -> "PhotoPrompt":
    """Clicks on what is salient in a photo, one to five of them in turn."""
    networks: list[TorchSaliency] = []
    numbers = itertools.cycle(range(1, 6))

    def prompt(image: "NDArray[np.uint8]") -> Prompt:
        if not networks:
            networks.append(TorchSaliency(load_saliency().model))
        clicks = networks[0].clicks(image).scaled_to((image.shape[0], image.shape[1]))
        return foreground(clicks[: next(numbers)])

    return prompt
