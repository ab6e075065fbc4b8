"""What int8 costs in each module of `nano`, and what is chosen to stay in float.

On few photos: what is looked for is far larger than what they leave open.
"""

import dataclasses
import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from sqsam_deploy._internal.geometry import mask_iou
from sqsam_deploy._internal.progress import SilentSteps
from sqsam_deploy.artifact.manifest import read_manifest
from sqsam_deploy.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from sqsam_deploy.datasets import bundled_dataset, subset
from sqsam_deploy.evaluation import float_modules
from sqsam_deploy.evaluation.bounds import Interval
from sqsam_deploy.evaluation.evaluator import open_scene
from sqsam_deploy.evaluation.float_modules import study_modules, worth_keeping
from sqsam_deploy.evaluation.protocols import GroundTruthBoxes, RandomPoints
from sqsam_deploy.evaluation.segmenters import SessionSegmenter
from sqsam_deploy.evaluation.sensitivity import (
    ModuleSensitivity,
    Sensitivity,
    draw_objects,
)
from sqsam_deploy.folding import fold
from sqsam_deploy.model.config import NANO
from sqsam_deploy.model.description import describe
from sqsam_deploy.pipeline.export import open_programs
from sqsam_deploy.pipeline.reproducibility import same_layers
from sqsam_deploy.pipeline.request import ExportRequest
from sqsam_deploy.quantization import build_calibration, quantize
from sqsam_deploy.quantization.simulation import Simulation
from sqsam_deploy.runtimes.registry import find_runtime
from tests.commands import run_command
from tests.fakes import RecordedSteps

pytestmark = pytest.mark.usefixtures("traced_leanly")


@pytest.fixture(scope="module")
def calibration():
    return build_calibration(bundled_dataset("calibration"), NANO, size=4)


@pytest.fixture(scope="module")
def quantized(calibration):
    return quantize(fold(load_checkpoint("nano").model), calibration)


@pytest.fixture(scope="module")
def simulation(quantized, calibration) -> Simulation:
    return Simulation(quantized, calibration)


@pytest.fixture(scope="module")
def asked():
    photos = subset(bundled_dataset("calibration"), 4, seed=3)
    metadata = describe(NANO, runtime="onnx", precision="int8", weights_sha256="1" * 64)
    return draw_objects(photos, metadata, seed=3)


def test_drifts_are_those_of_the_exported_artifact(quantized, simulation, asked, tmp_path):
    """The artifact is asked as `sqsam-parity` asks it."""
    runtime = find_runtime("onnx")
    runtime.lower(quantized.program, asked.metadata, tmp_path / "nano-int8.onnx")
    segmenter = SessionSegmenter(runtime.open_session(tmp_path / "nano-int8.onnx", 1))
    floats, int8 = (simulation.arrange(lambda name, which=w: which) for w in (True, False))
    expected, actual, drifts = [], [], []
    for record in asked.records:
        scene = open_scene(record)
        photo = segmenter.prepare(scene.image)
        queries = [*GroundTruthBoxes().queries(scene), *RandomPoints((1, 3), 3).queries(scene)]
        for query, question in zip(queries, asked.questions(record), strict=True):
            answer = segmenter.run(photo, segmenter.encode(query.prompt, scene.image_hw))
            best = int(answer.iou_predictions.argmax())
            mask = segmenter.mask(answer, best, scene.image_hw)
            expected.append(mask_iou(mask, scene.masks[0]))
            actual.append(question.iou(simulation.run(int8, question.sample)))
            drifts.append(question.iou(simulation.run(floats, question.sample)) - actual[-1])
    # Integer kernels round ties and biases otherwise: some pixels of a mask nobody is sure of.
    differences = np.subtract(expected, actual)
    assert np.median(np.abs(differences)) < 0.003
    assert np.abs(differences).max() < 0.04
    assert abs(differences.mean()) < 0.004
    # It is not by doing nothing that they agree.
    assert np.abs(drifts).max() > 0.005


#: A layer that a ruined `nano` has.
RUINED = "encoder.stem.1.conv"


def _ruined() -> Checkpoint:
    """`nano` with a channel that is always zero, and huge weights on it in the next layer.

    The float network takes no notice; in int8 the steps of these weights leave the others none.
    """
    checkpoint = load_checkpoint("nano")
    norm, conv = checkpoint.model.encoder.stem[0].norm, checkpoint.model.encoder.stem[1].conv
    norm.weight.data[0], norm.bias.data[0] = 0.0, -1.0
    conv.weight.data[:, 0] = 1e3
    return checkpoint


#: The fewest photos that `--max-drift` takes, and those of them that every module is measured on.
PHOTOS, MEASURED = 10, 2


@pytest.fixture(scope="module")
def chosen(tmp_path_factory) -> Iterator[Path]:
    """The folder of an export of the ruined network, with a limit."""
    folder = tmp_path_factory.mktemp("chosen")
    save_checkpoint(_ruined().model, folder / "ruined.safetensors", {})
    arguments = ("--checkpoint", folder / "ruined.safetensors", "--runtime", "onnx", "--int8")
    arguments += ("--calibration-size", PHOTOS, "--no-saliency", "--max-drift", "5")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(float_modules, "SENSITIVITY_PHOTOS", MEASURED)
        patch.setenv("SQSAM_CACHE", str(folder / "cache"))
        done = run_command("export", *arguments, "-o", folder / "out")
        assert done.code == 0, done.stderr
        (folder / "said.txt").write_text(done.stderr)
        yield folder


def test_a_layer_that_int8_ruins_loses_and_gains_most(chosen: Path):
    report = json.loads((chosen / "out" / "quantization.json").read_text())
    found = Sensitivity.model_validate(report["sensitivity"])
    assert found.photos == MEASURED
    assert max(found.modules, key=lambda module: module.gain.mean).name == RUINED
    assert max(found.modules, key=lambda module: module.loss.mean).name == RUINED
    (ruined,) = (module for module in found.modules if module.name == RUINED)
    drift = found.miou_float - found.miou_int8
    assert ruined.gain.mean > drift / 2 > 5
    assert ruined.loss.low <= ruined.loss.mean <= ruined.loss.high
    assert worth_keeping(found.modules)[0] == RUINED


def test_it_is_what_stays_in_float(chosen: Path):
    """Without --max-drift such a network is refused (tests/cli/test_export.py)."""
    (artifact,) = read_manifest(chosen / "out").artifacts
    assert artifact.build is not None
    assert artifact.build.keep_float == (RUINED,)
    assert RUINED in (chosen / "said.txt").read_text()
    report = json.loads((chosen / "out" / "quantization.json").read_text())
    assert RUINED in {layer["name"] for layer in report["kept_float"]}
    (kept,) = report["choice"]["kept"]
    assert kept["name"] == RUINED and kept["milliseconds"] >= 0
    assert report["choice"]["bound"] <= 5 < report["choice"]["bound_int8"]


def test_the_report_shows_every_module(chosen: Path):
    page = (chosen / "out" / "report.html").read_text()
    report = json.loads((chosen / "out" / "quantization.json").read_text())
    modules = report["sensitivity"]["modules"]
    assert page.count('<g class="sensitivity mark ') == len(modules)
    assert {module["name"] for module in modules} > {
        layer["name"] for layer in report["layers"]
    } - {""}
    assert re.search(rf"kept in float for .*{re.escape(RUINED)}", page)


def test_a_second_export_measures_nothing_again(chosen: Path):
    request = ExportRequest(
        output=chosen / "again",
        checkpoint=chosen / "ruined.safetensors",
        runtime=("onnx",),
        int8=True,
        with_saliency=False,
        calibration_size=PHOTOS,
        max_drift=5.0,
    )
    steps = RecordedSteps()
    sensitivity = dataclasses.replace(request, max_drift=None, sensitivity=True)
    with open_programs(request, SilentSteps()) as programs:
        changed, study = study_modules(request.resolved(), programs, steps)
        _, again = study_modules(sensitivity.resolved(), programs, steps)
    # Each looks at the photos, and that is all.
    assert len(steps.begun) == 2
    assert again.sensitivity == study.sensitivity
    assert [target.keep_float for target in changed.targets] == [(RUINED,)]
    report = json.loads((chosen / "out" / "quantization.json").read_text())
    assert study.model_dump(mode="json", exclude_none=True) == {
        key: report[key] for key in ("sensitivity", "choice")
    }


def test_an_export_without_the_measurements_is_the_same_otherwise(chosen: Path):
    content = (chosen / "out" / "quantization.json").read_bytes()
    report = json.loads(content)
    del report["sensitivity"], report["choice"]
    assert same_layers(content, json.dumps(report).encode())
    report["scheme"]["keep_float"] = []
    assert not same_layers(content, json.dumps(report).encode())


def test_modules_are_taken_by_effect_for_work():
    def module(name: str, work: int, loss: float, gain: float, width: float = 0.1):
        both = (Interval(x, x - width, x + width) for x in (loss, gain))
        return ModuleSensitivity(
            name=name, op="conv2d", work=work, **dict(zip(("loss", "gain"), both, strict=True))
        )

    modules = [
        module("cheap and unsure", 1, 0.05, 0.05),
        module("harmless", 100, -0.2, -0.1),
        module("sure", 200, 0.0, 2.0),
        module("sure and costly", 300, 1.5, 0.0),
        module("too costly", 1000, 5.0, 5.0),
    ]
    assert worth_keeping(modules) == ["sure", "sure and costly", "cheap and unsure"]


RECIPE = """\
summary = "A float head"
[[artifact]]
runtime = "onnx"
precision = "int8"
keep_float = ["mask_head.*"]
"""


@pytest.mark.parametrize(
    ("arguments", "code", "named"),
    [
        (("--max-drift", "-1"), 2, "--max-drift"),
        (("--max-drift", "0"), 2, "--max-drift"),
        (("--max-drift", "60"), 2, "--max-drift"),
        (("--max-drift", "nan"), 2, "--max-drift"),
        (("--max-drift", "1", "--fp32"), 2, "--int8"),
        (("--sensitivity", "--fp32", "--fp16"), 2, "--int8"),
        (("--max-drift", "1", "--recipe", "mine.toml"), 2, "keep_float"),
        (("--sensitivity", "--recipe", "mine.toml"), 2, "keep_float"),
        (("--max-drift", "1", "--calibration", "photos"), 2, "--dataset"),
        (("--max-drift", "1", "--dataset", "photos"), 3, "photos"),
        (("--max-drift", "1", "--calibration-size", "3"), 2, "--dataset"),
        (("--dataset", "photos"), 2, "--sensitivity"),
        (("--check-reproducible", "out", "--sensitivity"), 2, "--sensitivity"),
    ],
)
def test_wrong_usage_is_one_sentence(arguments, code, named, tmp_path):
    (tmp_path / "mine.toml").write_text(RECIPE)
    (tmp_path / "photos").mkdir()
    photo = next(iter(bundled_dataset("sample"))).path
    (tmp_path / "photos" / "photo.jpg").write_bytes(photo.read_bytes())
    done = run_command("export", "--checkpoint", "nano", *arguments, cwd=tmp_path)
    assert done.code == code, done.stderr
    *_, sentence = done.stderr.splitlines()
    assert named in sentence
    assert not (tmp_path / "artifacts").exists()


def test_a_limit_that_nothing_holds(chosen: Path, tmp_path, monkeypatch):
    """Where no module may stay in float, a ruined network cannot hold a limit."""
    monkeypatch.setattr(float_modules, "MOST_FLOAT", 0.0)
    arguments = ("--checkpoint", chosen / "ruined.safetensors", "--runtime", "onnx")
    arguments += ("--no-saliency", "--calibration-size", PHOTOS, "--max-drift", "4")
    done = run_command("export", *arguments, "-o", tmp_path / "out")
    assert done.code == 1, done.stderr
    assert "--max-drift 4" in done.stderr
    assert not (tmp_path / "out").exists()
