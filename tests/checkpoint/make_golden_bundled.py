"""Writes golden_bundled.npz: what the bundled weights answered when they were bundled.

    python -m tests.checkpoint.make_golden_bundled

One photo of the bundled sample with a click, a box, both and nothing. Of each answer every
eighth pixel of the logits that `predict` would show, and all predicted IoUs; of the saliency
network every eighth pixel.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sqsam_deploy.datasets import bundled_dataset, load_image
from sqsam_deploy.model.description import config_of
from sqsam_deploy.prompts import Prompt, encode_prompt, prepare_image
from sqsam_deploy.runtimes import open_session
from sqsam_deploy.saliency import open_saliency

GOLDEN = Path(__file__).with_name("golden_bundled.npz")
STEP = 8


def answers() -> dict[str, NDArray[np.float32]]:
    """The answers of this checkout."""
    record = next(iter(bundled_dataset("sample")))
    photo, thing = load_image(record), max(record.objects, key=lambda item: item.area)
    x0, y0, x1, y1 = (float(edge) for edge in thing.box)
    rows, columns = np.nonzero(thing.mask())
    middle = len(rows) // 2
    click = np.array([[columns[middle], rows[middle]]], np.float32)
    prompts = {
        "click": Prompt(click, np.ones(1, np.int64)),
        "box": Prompt(box=(x0, y0, x1, y1)),
        "both": Prompt(click, np.ones(1, np.int64), (x0, y0, x1, y1)),
        "nothing": Prompt(),
    }
    found = {"saliency": open_saliency(None).saliency_map(photo)[::STEP, ::STEP]}
    for name in ("paper", "nano"):
        session = open_session(Path(name))
        square = prepare_image(photo, config_of(session.metadata))
        for kind, prompt in prompts.items():
            answer = session.run(
                square, encode_prompt(prompt, photo.shape[:2], config_of(session.metadata))
            )
            best = answer.low_res_masks[answer.iou_predictions.argmax()]
            found[f"{name} {kind} logits"] = best[::STEP, ::STEP]
            found[f"{name} {kind} iou"] = answer.iou_predictions
    return found


if __name__ == "__main__":
    np.savez_compressed(GOLDEN, **answers())
