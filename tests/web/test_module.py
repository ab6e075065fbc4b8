"""`squeezesam.js` in Node: the shared vectors, the types, and masks like Python's."""

import base64
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from sqsam_deploy._internal.geometry import mask_iou
from sqsam_deploy.artifact.metadata import METADATA_KEY
from sqsam_deploy.datasets import bundled_dataset
from sqsam_deploy.datasets.images import read_image
from sqsam_deploy.predictor import Predictor
from sqsam_deploy.prompts import Prompt
from sqsam_deploy.runtimes import open_session
from sqsam_deploy.saliency import open_saliency

HERE = Path(__file__).parent
NODE = shutil.which("node")
VECTORS = sorted((HERE.parent / "vectors").glob("*.json"))
#: Topics that are about other platforms: a canvas turns a photo upright itself.
OTHERS = {"orientation", "end_to_end"}

pytestmark = pytest.mark.skipif(NODE is None, reason="Node.js is not installed")


def run_node(*arguments: object) -> str:
    done = subprocess.run([NODE, *map(str, arguments)], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "file", [path for path in VECTORS if path.stem not in OTHERS], ids=lambda path: path.stem
)
def test_it_computes_what_the_vectors_say(file: Path) -> None:
    count = len(json.loads(file.read_text())["cases"])
    assert count > 0
    assert run_node(HERE / "vectors.mjs", file).startswith(f"{count} of ")


_TSC = ("--strict", "--target", "es2022", "--lib", "es2023,dom", "--module", "nodenext")


def test_a_prompt_after_another_is_drawn_as_if_it_were_the_first(tmp_path: Path) -> None:
    cases = json.loads((HERE.parent / "vectors" / "metadata.json").read_text())["cases"]
    models = [
        _small_model(json.loads(case["json"]), tmp_path / f"{number}.onnx")
        for number, case in enumerate(cases)
        if "expected" in case and json.loads(case["json"])["task"] == "segmentation"
    ]
    assert run_node(HERE / "sequence.mjs", *models).strip() == f"{len(models)} passed"


def _small_model(metadata: dict[str, Any], path: Path) -> Path:
    """A file without a network whose metadata are those of a larger one, at 32 x 32 pixels."""
    size = metadata["image_size"]
    metadata |= {"image_size": 32, "mask_size": 8}
    for spec in metadata["inputs"]:
        spec["shape"] = [32 if length == size else length for length in spec["shape"]]
    for spec in metadata["outputs"]:
        spec["shape"] = [*spec["shape"][:2], *(8 for _ in spec["shape"][2:])]
    model = onnx.helper.make_model(onnx.helper.make_graph([], "none", [], []))
    onnx.helper.set_model_props(model, {METADATA_KEY: json.dumps(metadata)})
    path.write_bytes(model.SerializeToString())
    return path


def test_its_types_are_those_of_its_comments(node_packages: Path, tmp_path: Path) -> None:
    module = HERE.parents[1] / "sqsam_deploy" / "web"
    shutil.copyfile(module / "squeezesam.js", tmp_path / "squeezesam.mjs")
    options = (
        "--allowJs",
        "--checkJs",
        "--declaration",
        "--emitDeclarationOnly",
        "--lib",
        "es2023",
    )
    _compile(node_packages, tmp_path, *options, "squeezesam.mjs")
    assert (tmp_path / "squeezesam.d.mts").read_text() == (module / "squeezesam.d.ts").read_text()


def test_all_three_runtimes_fit(node_packages: Path, tmp_path: Path) -> None:
    module = HERE.parents[1] / "sqsam_deploy" / "web"
    for file in (module / "squeezesam.d.ts", HERE / "types.ts", HERE / "package.json"):
        shutil.copyfile(file, tmp_path / file.name)
    (tmp_path / "node_modules").symlink_to(node_packages / "node_modules")
    options = ("--noEmit", "--skipLibCheck")
    _compile(node_packages, tmp_path, *options, "types.ts")


def _compile(packages: Path, folder: Path, *options: str) -> None:
    compiler = packages / "node_modules" / ".bin" / "tsc"
    command = [str(compiler), "--ignoreConfig", *_TSC, *options]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout


def test_its_masks_are_those_of_python(
    nano_export: Path, node_packages: Path, tmp_path: Path
) -> None:
    files = (nano_export / f"{name}-int8.onnx" for name in ("nano", "saliency"))
    predictor = Predictor(open_session(next(files)), open_saliency(next(files)))
    photos, expected = [], []
    for record in bundled_dataset("sample").images[:12]:
        image = read_image(record.path)
        predictor.set_image(image)
        prompts = _prompts(image.shape[1], image.shape[0])
        expected += [
            (predictor.predict_auto() if prompt is None else predictor.predict_prompt(prompt)).masks
            for prompt in prompts
        ]
        photos.append((image, prompts))
    found = _predicted(nano_export, node_packages, tmp_path, photos)
    ious = [mask_iou(mask, masks[0]) for mask, masks in zip(found, expected, strict=True)]
    assert len(ious) == 12 * 4
    assert np.mean(ious) >= 0.99


def test_a_whole_run_gives_the_mask_of_the_vectors(
    nano_export: Path, node_packages: Path, tmp_path: Path
) -> None:
    cases = json.loads((HERE.parent / "vectors" / "end_to_end.json").read_text())["cases"]
    (case,) = (case for case in cases if case["runtime"] == "onnx")
    image, expected = _array(case["image"]), _array(case["expected"]["mask"])
    coords = np.array(case["point_coords"], np.float32)
    prompt = Prompt(coords, np.array(case["point_labels"]), tuple(case["box"]))
    (mask,) = _predicted(nano_export, node_packages, tmp_path, [(image, [prompt])])
    assert mask_iou(mask, expected > 0) >= case["expected"]["min_mask_iou"]


def _array(content: dict[str, Any]) -> NDArray[np.uint8]:
    data = np.frombuffer(base64.b64decode(content["base64"]), content["dtype"])
    return data.reshape(content["shape"])


def _predicted(
    export: Path,
    packages: Path,
    folder: Path,
    photos: list[tuple[NDArray[np.uint8], list[Prompt | None]]],
) -> list[NDArray[np.bool_]]:
    """Masks that the module makes of photos, in their order."""
    files = {name: str(export / f"{name}-int8.onnx") for name in ("nano", "saliency")}
    job: dict[str, Any] = {"model": files["nano"], "saliency": files["saliency"], "photos": []}
    masks: list[tuple[Path, tuple[int, ...]]] = []
    for number, (image, prompts) in enumerate(photos):
        pixels = folder / f"{number}.rgb"
        pixels.write_bytes(image.tobytes())
        asked = []
        for prompt in prompts:
            masks.append((folder / f"{len(masks)}.mask", image.shape[:2]))
            box = None if prompt is None else prompt.box
            points = None if prompt is None else _points(prompt)
            asked.append({"points": points, "box": box, "mask": str(masks[-1][0])})
        height, width = image.shape[:2]
        about = {"pixels": str(pixels), "width": width, "height": height, "prompts": asked}
        job["photos"].append(about)
    (folder / "job.json").write_text(json.dumps(job))
    run_node(HERE / "predict.mjs", packages, folder / "job.json")
    return [np.fromfile(path, np.uint8).reshape(shape) > 0 for path, shape in masks]


def test_a_provider_that_computes_wrongly_is_not_used(
    nano_export: Path, node_packages: Path
) -> None:
    files = (nano_export / f"{name}-int8.onnx" for name in ("nano", "saliency"))
    assert run_node(HERE / "checked.mjs", node_packages, *files).strip() == "8 passed"


def _prompts(width: int, height: int) -> list[Prompt | None]:
    """The automatic start, a click, clicks on both sides, a box with a click on the background."""
    middle = Prompt().with_click(width / 2, height / 2, 1)
    box = Prompt(box=(0.2 * width, 0.1 * height, 0.9 * width, 0.8 * height))
    both = middle.with_click(0.1 * width, 0.9 * height, 0).with_click(0.6 * width, 0.4 * height, 1)
    return [None, middle, both, box.with_click(0.25 * width, 0.2 * height, 0)]


def _points(prompt: Prompt) -> list[dict[str, float]]:
    pairs = zip(prompt.point_coords.tolist(), prompt.point_labels.tolist(), strict=True)
    return [{"x": x, "y": y, "label": label} for (x, y), label in pairs]
