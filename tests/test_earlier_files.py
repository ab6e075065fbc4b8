"""Files that an earlier version wrote are read, and mean what they meant then."""

import json
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import jsonschema
import numpy as np
import pytest

from sqsam_deploy.artifact.manifest import parse_manifest
from sqsam_deploy.benchmark.resultfile import read_result
from sqsam_deploy.release.evidence import read_parity
from sqsam_deploy.runtimes import open_session
from tests.commands import run_command
from tests.golden.answers import PROMPTS, answers
from tests.tiny_network import TINY

EARLIER = Path(__file__).parent / "golden" / "v0.1"
DOCUMENTS = Path(__file__).parent / "golden" / "documents"
RESULTS = Path(__file__).parents[1] / "benchmarks" / "results"
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


def _read_manifest(path: Path) -> object:
    return parse_manifest(path.read_bytes(), path.name)


@pytest.mark.parametrize(
    ("path", "schema", "read"),
    [
        (DOCUMENTS / "manifest-1.json", "artifact/schema/manifest-1.json", _read_manifest),
        (DOCUMENTS / "parity-2.json", "evaluation/schema/sqsam-parity-2.schema.json", read_parity),
        (DOCUMENTS / "result-2.json", "benchmark/schema/result-2.json", read_result),
        *(
            (path, "benchmark/schema/result-2.json", read_result)
            for path in sorted(RESULTS.glob("*.json"))
        ),
    ],
    ids=lambda value: value.name if isinstance(value, Path) else "",
)
def test_a_document_that_was_written_once_stays_valid(
    path: Path, schema: str, read: Callable[[Path], object]
) -> None:
    """A field that is renamed, newly required or narrowed needs a new version of its schema."""
    shipped = json.loads((files("sqsam_deploy") / schema).read_bytes())
    jsonschema.validate(json.loads(path.read_bytes()), shipped)
    read(path)
