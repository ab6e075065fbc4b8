"""A runtime and a precision of another package go through every command, no file here changed.

The runtime is `torch.export.save`'s `.pt2`, run by torch; the precision has weights that are
rounded to bfloat16. They are installed as packages are: a module and a `.dist-info` directory with
its entry point, on the path of this process and of those that it starts.
"""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sqsam_deploy.datasets import bundled_dataset
from sqsam_deploy.networks.precisions import PRECISIONS
from sqsam_deploy.runtimes import registry
from tests.commands import Done, run_command, run_process

pytestmark = pytest.mark.slow

RUNTIME = """
from dataclasses import dataclass

from sqsam_deploy.artifact.metadata import METADATA_KEY, stored_metadata
from sqsam_deploy.errors import ArtifactError
from sqsam_deploy.networks.precisions import PRECISIONS, Precision, Program
from sqsam_deploy.runtimes.base import Runtime
from sqsam_deploy.runtimes.session import Session


def rounded(folded, samples, keep_float):
    import copy

    from sqsam_deploy.quantization import trace_network

    module = copy.deepcopy(folded.module)
    for weight in module.parameters():
        weight.data = weight.data.bfloat16().float()
    return Program(trace_network(module, folded.example))


PRECISIONS["bf16-weights"] = Precision(
    name="bf16-weights", weight_bytes=4, limit=0.97, make=rounded
)


def load(path):
    import torch

    kept = {METADATA_KEY: ""}
    try:
        program = torch.export.load(str(path), extra_files=kept)
    except Exception as error:
        raise ArtifactError(f"{path} is no exported program: {error}") from None
    return program, stored_metadata(kept[METADATA_KEY], str(path))


class Pt2Session(Session):
    def __init__(self, path):
        program, self.metadata = load(path)
        self._module = program.module()

    def execute(self, feeds):
        import torch

        with torch.inference_mode():
            values = self._module(*(torch.from_numpy(feeds[i.name]) for i in self.metadata.inputs))
        return {o.name: v.numpy() for o, v in zip(self.metadata.outputs, values, strict=True)}


@dataclass(frozen=True, kw_only=True, eq=False)
class Pt2(Runtime):
    def lower(self, program, metadata, path):
        import torch

        torch.export.save(program, path, extra_files={METADATA_KEY: metadata.model_dump_json()})

    def open_session(self, path, threads=None):
        return Pt2Session(path)

    def read_metadata(self, path):
        return load(path)[1]

    def minimum_runtime(self, metadata):
        return "torch 2.13"

    def runtime_version(self):
        import torch

        return f"torch {torch.__version__}, exported program"


RUNTIME = Pt2(
    name="pt2",
    title="exported program",
    ending=".pt2",
    layouts={"fp32": ("nchw-float32",), "bf16-weights": ("nchw-float32",)},
    library="torch",
    distributions=("torch",),
    systems=frozenset(("Linux", "macOS", "Windows")),
)
"""
NAME = "nano-fp32.pt2"
ROUNDED = "nano-bf16-weights.pt2"
RECIPE = """
summary = "What the other package brings, and an artifact of this one"
saliency = false

[[artifact]]
runtime = "onnx"
precision = "fp32"

[[artifact]]
runtime = "pt2"
precision = "fp32"

[[artifact]]
runtime = "pt2"
precision = "bf16-weights"
"""


def _run(*arguments: object, cwd: Path | None = None) -> Done:
    done = run_command(*arguments, cwd=cwd)
    assert done.code == 0, done.stdout + done.stderr
    return done


@contextmanager
def _installed(site: Path, name: str, entry_point: str) -> Iterator[None]:
    """A package in this directory, on the path of this process and of those that it starts."""
    about = site / f"{name}-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(f"[sqsam_deploy.runtimes]\n{entry_point}\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(site), prepend=os.pathsep)
        patch.syspath_prepend(str(site))
        # The registry looks for packages once.
        registry._known.cache_clear()
        yield
    registry._known.cache_clear()


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The other package's directory."""
    site = tmp_path_factory.mktemp("site")
    (site / "pt2_runtime.py").write_text(RUNTIME, encoding="utf-8")
    with (
        pytest.MonkeyPatch.context() as patch,
        _installed(site, "pt2-runtime", "pt2 = pt2_runtime:RUNTIME"),
    ):
        patch.setenv("XDG_CACHE_HOME", str(site / "cache"))
        yield site
    sys.modules.pop("pt2_runtime")
    PRECISIONS.pop("bf16-weights")


@pytest.fixture(scope="module")
def exported(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export")
    # By a process of its own, which has nothing but what is installed.
    done = run_process(
        *("export", "--checkpoint", "nano", "--fp32", "--precision", "bf16-weights"),
        *("--runtime", "onnx", "--runtime", "pt2", "--no-saliency", "--output", folder / "out"),
    )
    assert done.returncode == 0, done.stderr
    return folder / "out"


@pytest.fixture(scope="module")
def pulled(exported: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The release that comes back from a store, after parity has passed the export."""
    folder = tmp_path_factory.mktemp("release")
    _run(
        *("parity", exported, "--prompts", "box", "--count", "8", "--jobs", "1"),
        *("--max-drift", "40", "--min-agreement", "0.5", "--output", folder),
    )
    report = json.loads((folder / "parity.json").read_text(encoding="utf-8"))
    assert report["artifacts"][NAME]["runtime"] == "pt2"
    assert report["artifacts"][ROUNDED]["precision"] == "bf16-weights"
    assert report["artifacts"][ROUNDED]["passed"]
    _run(
        *("publish", exported, folder / "store", "--release", "1.0.0", "--name", "cutter"),
        *("--parity", folder / "parity.json"),
    )
    _run(
        *("pull", "cutter", "--store", folder / "store", "--runtime", "pt2"),
        *("--output", folder / "models"),
        cwd=folder,
    )
    return folder / "models"


def test_the_export_has_compared_and_explained_it(exported: Path) -> None:
    entries = json.loads((exported / "manifest.json").read_text(encoding="utf-8"))["artifacts"]
    (entry,) = [entry for entry in entries if entry["path"] == NAME]
    assert entry["agreement"]["mean_mask_iou"] > 0.999
    assert "exported program" in entry["agreement"]["executor"]
    page = (exported / "report.html").read_text(encoding="utf-8")
    assert NAME in page and ROUNDED in page


def test_its_precision_costs_what_rounding_the_weights_costs(exported: Path) -> None:
    entries = json.loads((exported / "manifest.json").read_text(encoding="utf-8"))["artifacts"]
    found = {entry["path"]: entry for entry in entries}
    assert found[ROUNDED]["metadata"]["precision"] == "bf16-weights"
    assert 0.97 < found[ROUNDED]["agreement"]["mean_mask_iou"] < 1
    assert found[ROUNDED]["files"][0]["sha256"] != found[NAME]["files"][0]["sha256"]


def test_it_is_listed_among_the_runtimes(installed: Path) -> None:
    said = _run("export", "--list-runtimes").stdout
    (row,) = [line for line in said.splitlines() if line.strip().startswith("pt2 ")]
    assert "exported program" in row and "fp32 bf16-weights" in row
    assert "executorch-coreml" in said


def test_a_recipe_names_both_as_it_names_those_of_this_package(
    exported: Path, tmp_path: Path
) -> None:
    (tmp_path / "both.toml").write_text(RECIPE, encoding="utf-8")
    words = ("--checkpoint", "nano", "--recipe", tmp_path / "both.toml", "--dry-run", "--json")
    plan = json.loads(_run("export", *words).stdout)["result"]["plan"]
    entries = json.loads((exported / "manifest.json").read_text(encoding="utf-8"))["artifacts"]
    assert {each["path"] for each in plan["artifacts"]} == {entry["path"] for entry in entries}


def test_inspect_shows_it(exported: Path) -> None:
    facts = json.loads(_run("inspect", exported / NAME, "--json").stdout)["result"]
    assert facts["metadata"]["runtime"] == "pt2"
    assert facts["bytes"] == (exported / NAME).stat().st_size


def test_what_comes_back_from_a_store_is_it_alone(exported: Path, pulled: Path) -> None:
    for name in (NAME, ROUNDED):
        assert (pulled / name).read_bytes() == (exported / name).read_bytes()
    assert not (pulled / "nano-fp32.onnx").exists()


def test_predict_cuts_an_object_out_with_it(pulled: Path, tmp_path: Path) -> None:
    record = next(iter(bundled_dataset("sample")))
    largest = max(record.objects, key=lambda item: item.area)
    box = ",".join(str(edge) for edge in largest.box)
    _run("predict", pulled / NAME, record.path, "--box", box, "--output", tmp_path)
    (mask_file,) = tmp_path.glob("*mask*.png")
    mask, truth = np.asarray(Image.open(mask_file).convert("L")) > 127, largest.mask()
    assert np.count_nonzero(mask & truth) / np.count_nonzero(mask | truth) > 0.5


def test_bench_measures_it(pulled: Path, tmp_path: Path) -> None:
    _run(
        *("bench", pulled, "--threads", "1", "--rounds", "3", "--processes", "1"),
        *("--no-torch", "--no-peak", "--output", tmp_path),
    )
    (file,) = tmp_path.glob("*.json")
    rows = json.loads(file.read_text(encoding="utf-8"))["measurements"]
    subjects = {(row["subject"]["name"], row["subject"]["precision"]) for row in rows}
    assert subjects == {(NAME, "fp32"), (ROUNDED, "bf16-weights")}
    assert all(row["stages"]["inference"]["summary"]["median"]["value"] > 0 for row in rows)


def test_a_release_for_phones_does_not_take_it(exported: Path, pulled: Path) -> None:
    store = pulled.parent / "store"
    done = run_command(
        *("pull", "cutter", "--store", store, "--runtime", "pt2", "--format", "android-assets"),
        *("--output", pulled.parent / "assets"),
        cwd=pulled.parent,
    )
    assert done.code == 2
    assert "Android" in done.stderr


def test_what_cannot_be_loaded_is_left_out_until_it_is_asked_for(
    installed: Path, exported: Path, tmp_path: Path
) -> None:
    with _installed(tmp_path, "broken", "broken = nowhere:RUNTIME"):
        facts = json.loads(_run("inspect", exported / NAME, "--json").stdout)["result"]
        done = run_command("export", "--runtime", "broken", "--output", tmp_path / "out")
    assert facts["metadata"]["runtime"] == "pt2"
    assert done.code == 3
    assert "'broken'" in done.stderr
    assert "nowhere" in done.stderr
