"""Draws three-runtimes.jpg: one photo, one click, the int8 artifacts of three runtimes.

python docs/figures/three_runtimes.py artifacts docs/figures/three-runtimes.jpg
"""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from sqsam_deploy.datasets import bundled_dataset, load_image
from sqsam_deploy.pictures import overlay
from sqsam_deploy.predictor import Predictor
from sqsam_deploy.runtimes import open_session

PHOTO, CLICK = "coco_000000565778", (330.0, 240.0)
ARTIFACTS = {
    "ExecuTorch": "paper-int8.pte",
    "Core ML": "paper-int8.mlpackage",
    "ONNX Runtime": "paper-int8.onnx",
}


def main(directory: Path, target: Path) -> None:
    """Runs every artifact on the photo and saves the pictures."""
    image = load_image(next(r for r in bundled_dataset("sample") if r.id == PHOTO))
    pictures = {"photo and click": image}
    for name, artifact in ARTIFACTS.items():
        path = directory / artifact
        predictor = Predictor(open_session(path))
        predictor.set_image(image)
        found = predictor.predict(np.array([CLICK]), np.array([1]), multimask_output=False)
        size = sum(f.stat().st_size for f in [path, *path.rglob("*")] if f.is_file())
        title = f"{name} int8, {size / 1e6:.1f} MB"
        pictures[title] = overlay(image, found.masks[0], opacity=0.45)
    # Two by two, and large letters on the pictures: read on a phone, on white and on black.
    figure, axes = plt.subplots(2, 2, figsize=(12, 7.5), gridspec_kw={"wspace": 0, "hspace": 0})
    figure.subplots_adjust(0, 0, 1, 1)
    for axis, (title, picture) in zip(axes.flat, pictures.items(), strict=True):
        axis.imshow(picture)
        axis.axis("off")
        axis.text(12, 16, title, va="top", fontsize=22, color="white", bbox={"color": "#000000b0"})
    axes[0, 0].plot(*CLICK, "o", color="white", markeredgecolor="black", markersize=14)
    figure.savefig(target, dpi=75, pil_kwargs={"quality": 88})


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
