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
    """Runs every artifact on the photo and saves the row of pictures."""
    image = load_image(next(r for r in bundled_dataset("sample") if r.id == PHOTO))
    figure, axes = plt.subplots(1, 4, figsize=(13, 2.35), layout="constrained")
    axes[0].imshow(image)
    axes[0].plot(*CLICK, "o", color="white", markeredgecolor="black", markersize=8)
    axes[0].set_title("photo and click")
    for axis, (name, artifact) in zip(axes[1:], ARTIFACTS.items(), strict=True):
        path = directory / artifact
        predictor = Predictor(open_session(path))
        predictor.set_image(image)
        found = predictor.predict(np.array([CLICK]), np.array([1]), multimask_output=False)
        axis.imshow(overlay(image, found.masks[0], opacity=0.45))
        size = sum(f.stat().st_size for f in [path, *path.rglob("*")] if f.is_file())
        axis.set_title(f"{name} int8, {size / 1e6:.1f} MB")
    for axis in axes:
        axis.axis("off")
    figure.savefig(target, dpi=100, pil_kwargs={"quality": 88})


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
