"""Answers of a session to four prompts on one bundled photo; and the maker of the golden files.

python tests/golden/answers.py artifacts tests/golden/v0.1    (once a version, never again)
python tests/golden/answers.py bundled tests/golden/bundled   (when bundled weights change)
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

from sqsam_deploy.checkpoint import bundled_checkpoint
from sqsam_deploy.datasets import bundled_dataset
from sqsam_deploy.model.config import ModelConfig
from sqsam_deploy.model.description import config_of
from sqsam_deploy.prompts import Prompt, encode_prompt, prepare_image
from sqsam_deploy.runtimes import open_session
from sqsam_deploy.runtimes.session import Session
from sqsam_deploy.saliency import open_saliency
from tests.tiny_network import TINY

_ONE_CLICK = np.array([(320, 200)], np.float32)
_TWO_CLICKS = np.array([(320, 200), (40, 30)], np.float32)
#: In pixels of the photo; the second of two clicks is on the background.
PROMPTS = {
    "click": Prompt(_ONE_CLICK, np.array([1])),
    "clicks": Prompt(_TWO_CLICKS, np.array([1, 0])),
    "box": Prompt(box=(100, 60, 420, 380)),
    "nothing": Prompt(),
}


def photo() -> np.ndarray:
    """The first photo of the bundled sample, HxWx3 uint8."""
    return np.asarray(Image.open(next(iter(bundled_dataset("sample"))).path).convert("RGB"))


def answers(session: Session, config: ModelConfig) -> dict[str, np.ndarray]:
    """Logits (4xsxs float32) and predicted IoUs (4) of every prompt, by name."""
    image = photo()
    square = prepare_image(image, config)
    found = {}
    for name, prompt in PROMPTS.items():
        raw = session.run(square, encode_prompt(prompt, image.shape[:2], config))
        found[f"{name} logits"] = raw.low_res_masks
        found[f"{name} iou"] = raw.iou_predictions
    return found


def bundled_answers(name: str) -> dict[str, np.ndarray]:
    """Answers of bundled weights in torch; of their logits every fourth row and column."""
    session = open_session(bundled_checkpoint(name))
    found = answers(session, config_of(session.metadata))
    return {key: value[..., ::4, ::4] if value.ndim > 1 else value for key, value in found.items()}


def bundled_saliency() -> dict[str, np.ndarray]:
    """The bundled saliency network's map of the photo, hxw, 0 to 1."""
    return {"map": open_saliency(None).saliency_map(photo())}


def _write_bundled(folder: Path) -> None:
    for name in ("nano", "paper"):
        np.savez_compressed(folder / f"{name}.npz", **bundled_answers(name))
    np.savez_compressed(folder / "saliency.npz", **bundled_saliency())


def _write_artifacts(folder: Path) -> None:
    for artifact in sorted(folder.glob("tiny-*")):
        if artifact.suffix != ".npz":
            np.savez_compressed(
                folder / f"{artifact.name}.npz", **answers(open_session(artifact), TINY)
            )


if __name__ == "__main__":
    {"artifacts": _write_artifacts, "bundled": _write_bundled}[sys.argv[1]](Path(sys.argv[2]))
