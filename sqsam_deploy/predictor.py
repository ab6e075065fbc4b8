"""SAM's predictor over any artifact: an image once, then as many prompts as wanted."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from sqsam_deploy.errors import UsageError
from sqsam_deploy.prompts import Prompt, encode_prompt, limit_clicks, prepare_image
from sqsam_deploy.runtimes.session import RawPrediction, Session


@dataclass(frozen=True)
class Prediction:
    """Masks of one prompt, the one with the highest predicted IoU first.

    Attributes:
        masks: MxHxW bool, at the size of the image.
        iou_predictions: M float32, descending.
        low_res_masks: Mxsxs float32 logits.
    """

    masks: NDArray[np.bool_]
    iou_predictions: NDArray[np.float32]
    low_res_masks: NDArray[np.float32]


class Predictor:
    """Cuts objects out of an image with any `Session`.

    The vocabulary is that of segment-anything's `SamPredictor`.

    Example:
        >>> predictor = Predictor(open_session(Path("artifacts/nano-int8.onnx")))
        >>> predictor.set_image(image)
        >>> mask = predictor.predict(box=(40, 30, 200, 180)).masks[0]
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        self.config = session.metadata.config
        self._image_hw: tuple[int, int] | None = None
        self._square: NDArray[np.uint8] | None = None

    def set_image(self, image: NDArray[np.uint8]) -> None:
        """Takes the image that later prompts are about.

        Args:
            image: HxWx3 uint8 RGB.

        Raises:
            DataError: The array is not such an image.
        """
        self._square = prepare_image(image, self.config)
        self._image_hw = (image.shape[0], image.shape[1])

    def predict(
        self,
        point_coords: NDArray[np.floating] | None = None,
        point_labels: NDArray[np.integer] | None = None,
        box: tuple[float, float, float, float] | NDArray[np.floating] | None = None,
        multimask_output: bool = True,
    ) -> Prediction:
        """Masks for clicks, a box, both or neither.

        Points outside the image are moved to its edge. Of more clicks than the preset takes, the
        first and the latest count (`limit_clicks`).

        Args:
            point_coords: Nx2, (x, y) in pixels of the image.
            point_labels: N; 1 foreground, 0 background.
            box: (x0, y0, x1, y1) in pixels of the image.
            multimask_output: All masks, or only the one with the highest predicted IoU.

        Raises:
            UsageError: No image was set, or coordinates and labels do not match.
        """
        if self._square is None or self._image_hw is None:
            raise UsageError("set_image must be called before predict")
        prompt = limit_clicks(_prompt(point_coords, point_labels, box, self._image_hw), self.config)
        encoded = encode_prompt(prompt, self._image_hw, self.config)
        best_first = _sorted_by_iou(self.session.run(self._square, encoded))
        kept = best_first if multimask_output else _first(best_first)
        logits = upsample_masks(kept.low_res_masks, self._image_hw)
        masks = logits > self.session.metadata.mask_threshold
        return Prediction(masks, kept.iou_predictions, kept.low_res_masks)


def upsample_masks(
    low_res_masks: NDArray[np.float32], image_hw: tuple[int, int]
) -> NDArray[np.float32]:
    """Logits at the size of the image: Mxsxs -> MxHxW, bilinear, `align_corners=False`."""
    logits = torch.from_numpy(np.ascontiguousarray(low_res_masks))[None]
    resized = torch.nn.functional.interpolate(
        logits, image_hw, mode="bilinear", align_corners=False
    )
    upsampled: NDArray[np.float32] = resized[0].numpy()
    return upsampled


def _prompt(
    point_coords: NDArray[np.floating] | None,
    point_labels: NDArray[np.integer] | None,
    box: tuple[float, float, float, float] | NDArray[np.floating] | None,
    image_hw: tuple[int, int],
) -> Prompt:
    if (point_coords is None) != (point_labels is None):
        raise UsageError("point_coords and point_labels go together")
    height, width = image_hw
    limits = np.array([width - 1, height - 1], np.float32)
    coords = np.zeros((0, 2)) if point_coords is None else np.asarray(point_coords)
    labels = np.zeros(0) if point_labels is None else np.asarray(point_labels)
    if not np.isin(labels, (0, 1)).all():
        raise UsageError("point_labels must be 1 (foreground) or 0 (background)")
    inside = np.clip(coords.astype(np.float32), 0, limits)
    return Prompt(inside, labels.astype(np.int64), _clipped_box(box, limits))


def _clipped_box(
    box: tuple[float, float, float, float] | NDArray[np.floating] | None,
    limits: NDArray[np.float32],
) -> tuple[float, float, float, float] | None:
    if box is None:
        return None
    corners = np.asarray(box, np.float32)
    if corners.shape != (4,):
        raise UsageError(f"a box is (x0, y0, x1, y1), got {corners.shape}")
    (x0, y0), (x1, y1) = np.clip(corners.reshape(2, 2), 0, limits)
    return float(min(x0, x1)), float(min(y0, y1)), float(max(x0, x1)), float(max(y0, y1))


def _sorted_by_iou(raw: RawPrediction) -> RawPrediction:
    order = np.argsort(-raw.iou_predictions, kind="stable")
    return RawPrediction(raw.low_res_masks[order], raw.iou_predictions[order])


def _first(raw: RawPrediction) -> RawPrediction:
    return RawPrediction(raw.low_res_masks[:1], raw.iou_predictions[:1])
