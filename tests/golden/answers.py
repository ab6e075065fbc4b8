"""What a session answers to four prompts on one bundled photo; and the maker of the golden files.

python tests/golden/answers.py artifacts tests/golden/v0.1    (once a version, never again)
python tests/golden/answers.py bundled tests/golden/bundled   (when bundled weights change)
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

from sqsam_deploy.datasets import bundled_dataset
from sqsam_deploy.model.config import ModelConfig
from sqsam_deploy.prompts import Prompt, encode_prompt, prepare_image
from sqsam_deploy.runtimes import open_session
from sqsam_deploy.runtimes.session import Session
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


def _write_artifacts(folder: Path) -> None:
    for artifact in sorted(folder.glob("tiny-*")):
        if artifact.suffix != ".npz":
            np.savez_compressed(
                folder / f"{artifact.name}.npz", **answers(open_session(artifact), TINY)
            )


if __name__ == "__main__":
    _write_artifacts(Path(sys.argv[2]))
