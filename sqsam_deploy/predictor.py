"""SAM's predictor over any artifact: an image once, then as many prompts as wanted."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sqsam_deploy.errors import UsageError
from sqsam_deploy.model.description import config_of
from sqsam_deploy.prompts import Prompt, limit_clicks, prepare_image
from sqsam_deploy.prompts.binding import PhotoInputs
from sqsam_deploy.prompts.saliency import SaliencyClicks, most_like_blob, saliency_clicks
from sqsam_deploy.prompts.validate import validate_prompt
from sqsam_deploy.runtimes.session import RawPrediction, Session
from sqsam_deploy.saliency import SaliencyModel, open_saliency


@dataclass(frozen=True)
class Prediction:
    """Masks of one prompt, the best first.

    The best has the highest predicted IoU; of the automatic start, it is most like the salient
    blob. The others follow by their predicted IoU.

    Attributes:
        masks: MxHxW bool, at the size of the image.
        iou_predictions: M float32.
        low_res_masks: Mxsxs float32 logits.
    """

    masks: NDArray[np.bool_]
    iou_predictions: NDArray[np.float32]
    low_res_masks: NDArray[np.float32]


@dataclass(frozen=True)
class _Picture:
    """The image a predictor is about; `inputs` are what the network sees of it."""

    image: NDArray[np.uint8]
    inputs: PhotoInputs

    @property
    def hw(self) -> tuple[int, int]:
        return self.image.shape[0], self.image.shape[1]


class Predictor:
    """Cuts objects out of an image with any `Session`.

    The vocabulary is that of segment-anything's `SamPredictor`. An image is resized and brought
    into the network's layout once, in `set_image`; a prompt then draws the pixels that it changes.
    Its saliency is computed once, when it is first asked for. A predictor is for one thread.

    Examples:
        >>> predictor = Predictor(open_session(Path("artifacts/nano-int8.onnx")))
        >>> predictor.set_image(image)
        >>> mask = predictor.predict_auto().masks[0]
        >>> corrected = predictor.auto_prompt().with_click(310, 120, label=0)
        >>> mask = predictor.predict_prompt(corrected).masks[0]
    """

    def __init__(self, session: Session, saliency: SaliencyModel | None = None) -> None:
        """Takes an open artifact.

        Args:
            session: Any artifact or checkpoint, from `open_session`.
            saliency: Picks the clicks of `predict_auto`; None opens the bundled network.
        """
        self.session = session
        self.config = config_of(session.metadata)
        self._saliency = saliency
        self._picture: _Picture | None = None
        self._saliency_map: NDArray[np.float32] | None = None
        self._clicks: SaliencyClicks | None = None

    def set_image(self, image: NDArray[np.uint8]) -> None:
        """Takes the image that later prompts are about.

        Args:
            image: HxWx3 uint8 RGB.

        Raises:
            DataError: The array is not such an image.
        """
        square = prepare_image(image, self.config)
        inputs = PhotoInputs(self.session.metadata.inputs, square, self.config)
        self._picture = _Picture(image, inputs)
        self._saliency_map = self._clicks = None

    def predict(
        self,
        point_coords: ArrayLike | None = None,
        point_labels: ArrayLike | None = None,
        box: Sequence[float] | NDArray[np.floating] | None = None,
        multimask_output: bool = True,
    ) -> Prediction:
        """Masks for clicks, a box, both or neither; docs/predictor.md has every special case.

        Args:
            point_coords: Nx2, (x, y) in pixels of the image; one outside moves to its edge.
            point_labels: N; 1 foreground, 0 background, -1 no point.
            box: (x0, y0, x1, y1) in pixels of the image, cut at its edges.
            multimask_output: All masks, or only the one with the highest predicted IoU.

        Raises:
            UsageError: No image was set, or an argument is not what it should be.
        """
        prompt = validate_prompt(point_coords, point_labels, box, self._current().hw)
        return self._enlarged(self._run(prompt), multimask_output)

    def predict_auto(self, multimask_output: bool = True) -> Prediction:
        """Masks of what is most salient, without any prompt, the one most like its blob first.

        Raises:
            UsageError: No image was set.
        """
        found = self.predict_low_res(self.auto_start())
        chosen = self.auto_choice(found)
        order = sorted(range(len(found.low_res_masks)), key=lambda index: index != chosen)
        ordered = RawPrediction(found.low_res_masks[order], found.iou_predictions[order])
        return self._enlarged(ordered, multimask_output)

    def predict_prompt(self, prompt: Prompt, multimask_output: bool = True) -> Prediction:
        """Masks for a prompt as a value, which clicks can be added to and removed from.

        Raises:
            UsageError: No image was set, or the prompt is not valid (as in `predict`).
        """
        return self.predict(prompt.point_coords, prompt.point_labels, prompt.box, multimask_output)

    def predict_low_res(self, prompt: Prompt) -> RawPrediction:
        """Logits and predicted IoUs of all masks of a prompt, best first and not enlarged.

        Raises:
            UsageError: No image was set, or the prompt is not valid (as in `predict`).
        """
        coords, labels, box = prompt.point_coords, prompt.point_labels, prompt.box
        return self._run(validate_prompt(coords, labels, box, self._current().hw))

    def auto_start(self) -> Prompt:
        """The prompt of `predict_auto`: the saliency clicks and the box of their blob.

        Raises:
            UsageError: No image was set.
        """
        return replace(self.auto_prompt(), box=self.auto_clicks().box_on(self._current().hw))

    def auto_prompt(self) -> Prompt:
        """The saliency clicks on the image, for a person to correct.

        Without the box, in which a correcting click could not reach what the blob has missed.

        Raises:
            UsageError: No image was set.
        """
        clicks = self.auto_clicks()
        return Prompt(clicks.scaled_to(self._current().hw), clicks.point_labels)

    def auto_choice(self, found: RawPrediction) -> int:
        """Which of the masks for `auto_start` is shown: the one most like the salient blob.

        Args:
            found: From `predict_low_res`.

        Raises:
            UsageError: No image was set.
        """
        masks = found.low_res_masks > self.session.metadata.mask_threshold
        return most_like_blob(masks, self.auto_clicks())

    def auto_clicks(self) -> SaliencyClicks:
        """The saliency clicks in pixels of the saliency map, with the blob they lie on.

        Raises:
            UsageError: No image was set.
        """
        if self._clicks is None:
            self._clicks = saliency_clicks(self.auto_saliency_map())
        return self._clicks

    def auto_saliency_map(self) -> NDArray[np.float32]:
        """The saliency map of the image: hxw, 0 to 1, in the saliency network's resolution.

        Raises:
            UsageError: No image was set.
        """
        image = self._current().image
        if self._saliency_map is None:
            self._saliency = self._saliency or open_saliency(None)
            self._saliency_map = self._saliency.saliency_map(image)
        return self._saliency_map

    def _current(self) -> _Picture:
        if self._picture is None:
            raise UsageError("set_image must be called before a prediction")
        return self._picture

    def _enlarged(self, found: RawPrediction, multimask_output: bool) -> Prediction:
        kept = found if multimask_output else _first(found)
        logits = upsample_masks(kept.low_res_masks, self._current().hw)
        masks = logits > self.session.metadata.mask_threshold
        return Prediction(masks, kept.iou_predictions, kept.low_res_masks)

    def _run(self, prompt: Prompt) -> RawPrediction:
        picture = self._current()
        feeds = picture.inputs.draw(limit_clicks(prompt, self.config.max_clicks), picture.hw)
        return _sorted_by_iou(self.session.run_inputs(feeds))


def upsample_masks(
    low_res_masks: NDArray[np.float32], image_hw: tuple[int, int]
) -> NDArray[np.float32]:
    """Logits at the size of the image: Mxsxs -> MxHxW, bilinear, `align_corners=False`."""
    import torch

    logits = torch.from_numpy(np.ascontiguousarray(low_res_masks))[None]
    resized = torch.nn.functional.interpolate(
        logits, image_hw, mode="bilinear", align_corners=False
    )
    upsampled: NDArray[np.float32] = resized[0].numpy()
    return upsampled


def _sorted_by_iou(raw: RawPrediction) -> RawPrediction:
    order = np.argsort(-raw.iou_predictions, kind="stable")
    return RawPrediction(raw.low_res_masks[order], raw.iou_predictions[order])


def _first(raw: RawPrediction) -> RawPrediction:
    return RawPrediction(raw.low_res_masks[:1], raw.iou_predictions[:1])
