"""Files that an earlier version wrote are read, and mean what they meant then."""

from pathlib import Path

import numpy as np
import pytest

from sqsam_deploy.runtimes import open_session
from tests.commands import run_command
from tests.golden.answers import PROMPTS, answers
from tests.tiny_network import TINY

EARLIER = Path(__file__).parent / "golden" / "v0.1"
STORE = Path(__file__).parent / "release" / "golden" / "v1" / "store"


@pytest.mark.parametrize("name", ["tiny-int8.pte", "tiny-int8.onnx", "tiny-int8.mlpackage"])
def test_an_earlier_artifact_gives_the_masks_it_gave_then(name: str) -> None:
    expected, actual = np.load(EARLIER / f"{name}.npz"), answers(open_session(EARLIER / name), TINY)
    for prompt in PROMPTS:
        logits = expected[f"{prompt} logits"]
        # Processors round some int8 products differently: a step of the output here and there.
        difference = np.abs(actual[f"{prompt} logits"] - logits)
        assert difference.mean() < 0.01 * np.ptp(logits)
        np.testing.assert_allclose(actual[f"{prompt} iou"], expected[f"{prompt} iou"], atol=0.02)


def test_an_earlier_lock_file_brings_the_files_it_names(tmp_path: Path) -> None:
    lock = tmp_path / "sqsam.lock"
    text = (EARLIER / "sqsam.lock").read_text(encoding="utf-8")
    lock.write_text(text.replace("STORE", STORE.as_uri()), encoding="utf-8")
    done = run_command("pull", "--locked", "--lock", lock, cwd=tmp_path)
    assert done.code == 0, done.stderr
    assert (tmp_path / "models" / "nano-int8.mlpackage" / "Manifest.json").stat().st_size == 30
    assert (tmp_path / "models" / "nano-int8.onnx").stat().st_size == 5000
