"""One small interface over everything that turns an image and a prompt into masks."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sqsam_deploy.artifact.metadata import PIXELS, ArtifactMetadata, TensorSpec
from sqsam_deploy.errors import ArtifactError
from sqsam_deploy.prompts import EncodedPrompt


@dataclass(frozen=True)
class RawPrediction:
    """What the network returns for one image and prompt.

    Attributes:
        low_res_masks: Mxsxs float32 logits.
        iou_predictions: M float32.
    """

    low_res_masks: NDArray[np.float32]
    iou_predictions: NDArray[np.float32]


class Session(ABC):
    """A loaded artifact (or checkpoint) that can be run.

    A runtime implements `_execute`; converting the image and the prompt to what the artifact
    declares is done here, once for all of them.
    """

    metadata: ArtifactMetadata

    def run(self, image: NDArray[np.uint8], prompt: EncodedPrompt) -> RawPrediction:
        """Masks for one image and prompt.

        Args:
            image: SxSx3 uint8 RGB, resized as `metadata.resize` says.
            prompt: From `encode_prompt` with the artifact's preset.

        Raises:
            ArtifactError: An output is missing, misshapen or not finite.
        """
        masks, iou = self._run(bind_inputs(self.metadata, image, prompt))
        return RawPrediction(masks[0], iou[0])

    def run_saliency(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The logits of a saliency network's map, sxs.

        Args:
            image: SxSx3 uint8 RGB, resized as `metadata.resize` says.

        Raises:
            ArtifactError: The artifact is none, or its output is missing, misshapen or not finite.
        """
        if self.metadata.task != "saliency":
            raise ArtifactError(f"the artifact '{self.metadata.preset}' is no saliency network")
        (spec,) = self.metadata.inputs
        (logits,) = self._run({spec.name: _bound(spec, image)})
        saliency: NDArray[np.float32] = logits[0, 0]
        return saliency

    def _run(self, feeds: Mapping[str, NDArray[np.generic]]) -> list[NDArray[np.float32]]:
        outputs = self._execute(feeds)
        return [_checked(spec, outputs) for spec in self.metadata.outputs]

    @abstractmethod
    def _execute(
        self, feeds: Mapping[str, NDArray[np.generic]]
    ) -> Mapping[str, NDArray[np.generic]]:
        """Outputs by name, for inputs by name exactly as `metadata` declares them."""


def bind_inputs(
    metadata: ArtifactMetadata, image: NDArray[np.uint8], prompt: EncodedPrompt
) -> dict[str, NDArray[np.generic]]:
    """An image and a prompt as the declared inputs, with batch axis, dtype and layout."""
    maps = prompt.prompt_maps.transpose(1, 2, 0)
    values: dict[str, NDArray[np.generic]] = {
        "image": image,
        "prompt_maps": maps,
        PIXELS: np.concatenate([image, maps], axis=2),
        "point_coords": prompt.point_coords,
        "point_labels": prompt.point_labels,
    }
    return {spec.name: _bound(spec, values[spec.name]) for spec in metadata.inputs}


def _bound(spec: TensorSpec, value: NDArray[np.generic]) -> NDArray[np.generic]:
    if spec.layout == "NCHW":
        value = value.transpose(2, 0, 1)
    if spec.dtype == "int8":
        # Minus 128 is the same bits with the highest one turned.
        value = (np.asarray(value, np.uint8) ^ np.uint8(128)).view(np.int8)
    bound = np.ascontiguousarray(value[None], dtype=spec.dtype)
    if bound.shape != spec.shape:
        raise ArtifactError(f"input '{spec.name}' takes {spec.shape}, got {bound.shape}")
    return bound


def _checked(spec: TensorSpec, outputs: Mapping[str, NDArray[np.generic]]) -> NDArray[np.float32]:
    if spec.name not in outputs:
        raise ArtifactError(f"the artifact has no output '{spec.name}'")
    value = np.asarray(outputs[spec.name], np.float32)
    if value.shape != spec.shape:
        raise ArtifactError(f"output '{spec.name}' must be {spec.shape}, got {value.shape}")
    if not np.isfinite(value).all():
        raise ArtifactError(f"output '{spec.name}' holds values that are not finite")
    return value
