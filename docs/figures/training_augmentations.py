"""Draws `training-augmentations.png`: what each augmentation and prompt does to one photo.

Usage: python docs/figures/training_augmentations.py PHOTO_FOLDER
The folder is one with index.json; the photo is COCO 459, "person with a tie".
"""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from PIL import Image

from sqsam_deploy.prompts.encoding import Prompt
from sqsam_deploy.training.augment import (
    bounding_window,
    center_crop,
    jitter_color,
    mirror,
    nested_masks,
    resize_target,
)
from sqsam_deploy.training.readers import MaskedImage, SkipList, find_items
from sqsam_deploy.training.recipe import PromptMix
from sqsam_deploy.training.simulate import TargetObject, draw_prompt

PHOTO = "coco_000000000459"
COLORS = np.array([(66, 133, 244), (234, 67, 53), (251, 188, 4)])
OUTPUT = Path(__file__).with_name("training-augmentations.png")


def main(folder: Path) -> None:
    """Writes the figure."""
    photo = next(item.read(SkipList()) for item in find_items(folder) if item.id == PHOTO)
    if photo is None:
        raise SystemExit(f"{PHOTO} cannot be read from {folder}")
    figure, axes = plt.subplots(3, 6, figsize=(15, 10), layout="constrained")
    for axis in axes.flat:
        axis.set_axis_off()
    _draw_photo_row(axes[0], photo)
    _draw_crop_row(axes[1], photo)
    _draw_prompt_row(axes[2], photo)
    figure.savefig(OUTPUT, dpi=60)


def _show(axis: Axes, image: np.ndarray, title: str, masks: np.ndarray | None = None) -> None:
    shown = image.astype(float)
    for mask, color in zip(() if masks is None else masks, COLORS, strict=False):
        shown[mask > 0] = 0.45 * shown[mask > 0] + 0.55 * color
    axis.imshow(shown.astype(np.uint8))
    axis.set_title(title, fontsize=12)


def _draw_photo_row(axes: np.ndarray, photo: MaskedImage) -> None:
    rng = np.random.default_rng(3)
    _show(axes[0], photo.image, "photo and masks", photo.masks)
    kept = photo.masks[~nested_masks(photo.masks)]
    _show(axes[1], photo.image, "merging drops the tie", kept)
    _show(axes[2], mirror(photo.image), "flip")
    for axis in axes[3:5]:
        colored = jitter_color(Image.fromarray(photo.image), 0.3, 0.0, rng)
        _show(axis, np.asarray(colored), "color")
    _show(axes[5], np.asarray(jitter_color(Image.fromarray(photo.image), 0.3, 1.0, rng)), "gray")


def _draw_crop_row(axes: np.ndarray, photo: MaskedImage) -> None:
    rng = np.random.default_rng(5)
    tie = photo.masks[nested_masks(photo.masks)][0].astype(np.uint8)
    for axis in axes[:5]:
        window = center_crop((tie.shape[0], tie.shape[1]), bounding_window(tie), 0.25, rng)
        _show(axis, window.cut(photo.image), "crop around the tie", window.cut(tie)[None])
    target = resize_target(tie, 128) * np.uint8(255)
    _show(axes[5], np.repeat(target[..., None], 3, axis=2), "target, 128 x 128")


def _draw_prompt_row(axes: np.ndarray, photo: MaskedImage) -> None:
    mask = photo.masks[0].astype(np.uint8)
    background = (photo.masks.max(axis=0) == 0).astype(np.uint8)
    target = TargetObject(mask, background)
    mixes = {
        "one click": PromptMix(1, 0, 0, 0, background=0),
        "several clicks": PromptMix(0, 1, 0, 0, outlier=0, background=0),
        "with an outlier": PromptMix(0, 1, 0, 0, outlier=1, background=0),
        "with background clicks": PromptMix(1, 0, 0, 0, background=1),
        "jittered box": PromptMix(0, 0, 1, 0, exact_box=0),
        "box and clicks": PromptMix(0, 0, 0, 1, background=0, exact_box=0),
    }
    rng = np.random.default_rng(1)
    for axis, (title, mix) in zip(axes, mixes.items(), strict=True):
        _show(axis, photo.image, title, mask[None])
        _mark(axis, draw_prompt(target, mix, rng))


def _mark(axis: Axes, prompt: Prompt) -> None:
    for (x, y), label in zip(prompt.point_coords, prompt.point_labels, strict=True):
        axis.plot(x, y, "o", color="lime" if label else "red", markersize=9, mec="black")
    if prompt.box is not None:
        x0, y0, x1, y1 = prompt.box
        box = Rectangle((x0, y0), x1 - x0, y1 - y0, fill=False, edgecolor="lime", linewidth=2)
        axis.add_patch(box)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
