"""One small interface over everything that turns an image and a prompt into masks."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sqsam_deploy.artifact.metadata import ArtifactMetadata, TensorSpec
from sqsam_deploy.errors import ArtifactError
from sqsam_deploy.prompts import EncodedPrompt
from sqsam_deploy.prompts.binding import bind_input, bind_inputs


@dataclass(frozen=True)
class RawPrediction:
    """The outputs of the network for one image and prompt.

    Attributes:
        low_res_masks: Mxsxs float32 logits.
        iou_predictions: M float32.
    """

    low_res_masks: NDArray[np.float32]
    iou_predictions: NDArray[np.float32]


class Session(ABC):
    """A loaded artifact (or checkpoint) that can be run.

    A runtime implements `execute`; converting the image and the prompt to what the artifact
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
        return self.run_inputs(bind_inputs(self.metadata.inputs, image, prompt))

    def run_inputs(self, feeds: Mapping[str, NDArray[np.generic]]) -> RawPrediction:
        """Masks for inputs by name, exactly as `metadata` declares them (`prompts.binding`).

        Raises:
            ArtifactError: An output is missing, misshapen or not finite.
        """
        masks, iou = self._run(feeds)
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
        (logits,) = self._run({spec.name: bind_input(spec, image)})
        saliency: NDArray[np.float32] = logits[0, 0]
        return saliency

    def _run(self, feeds: Mapping[str, NDArray[np.generic]]) -> list[NDArray[np.float32]]:
        outputs = self.execute(feeds)
        return [_checked(spec, outputs) for spec in self.metadata.outputs]

    @abstractmethod
    def execute(
        self, feeds: Mapping[str, NDArray[np.generic]]
    ) -> Mapping[str, NDArray[np.generic]]:
        """Outputs by name, for inputs by name exactly as `metadata` declares them."""


def _checked(spec: TensorSpec, outputs: Mapping[str, NDArray[np.generic]]) -> NDArray[np.float32]:
    if spec.name not in outputs:
        raise ArtifactError(f"the artifact has no output '{spec.name}'")
    value = np.asarray(outputs[spec.name], np.float32)
    if value.shape != spec.shape:
        raise ArtifactError(f"output '{spec.name}' must be {spec.shape}, got {value.shape}")
    if not np.isfinite(value).all():
        raise ArtifactError(f"output '{spec.name}' holds values that are not finite")
    return value


class SessionRunner:
    """A session as a raw runner."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def random_inputs(self) -> list[NDArray[np.generic]]:
        """Random numbers of the declared shapes."""
        inputs = self._session.metadata.inputs
        return [random_array(spec.shape, np.dtype(spec.dtype)) for spec in inputs]

    def run(self, feeds: Sequence[NDArray[np.generic]]) -> Sequence[Any]:
        """One inference."""
        metadata = self._session.metadata
        names = [spec.name for spec in metadata.inputs]
        outputs = self._session.execute(dict(zip(names, feeds, strict=True)))
        return [outputs[spec.name] for spec in metadata.outputs]


def random_array(shape: Sequence[Any], dtype: np.dtype[Any]) -> NDArray[np.generic]:
    """Normal floats, or integers over the type's first 128 values; a free axis has length 1."""
    rng = np.random.default_rng(0)
    sizes = tuple(size if isinstance(size, int) else 1 for size in shape)
    if dtype.kind in "iu":
        return rng.integers(0, 128, sizes).astype(dtype)
    return rng.standard_normal(sizes).astype(dtype)
