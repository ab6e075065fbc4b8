import base64
import json
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from scipy import ndimage

from sqsam_deploy.runtimes import open_session
from sqsam_deploy.vectors import TOPICS, end_to_end, pattern, write_vectors
from sqsam_deploy.vectors import array as described
from tests.commands import run_command

VECTORS = Path(__file__).parent / "vectors"
END_TO_END = ("nano-int8.onnx", "nano-int8.pte")


def cases(topic: str) -> list[dict]:
    content = json.loads((VECTORS / f"{topic}.json").read_text())
    assert (content["version"], content["topic"]) == (1, topic)
    return content["cases"]


def array(described: dict) -> np.ndarray:
    content = base64.b64decode(described["base64"])
    return np.frombuffer(content, described["dtype"]).reshape(described["shape"])


def named(topic: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", cases(topic), ids=lambda case: case["name"])


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    directory = tmp_path_factory.mktemp("vectors")
    write_vectors(directory)
    return directory


@pytest.mark.parametrize("topic", TOPICS)
def test_the_files_are_what_the_package_computes(written, topic):
    name = f"{topic}.json"
    assert (VECTORS / name).read_text() == (written / name).read_text(), (
        f"{name} is stale: sqsam-vectors tests/vectors"
    )


@pytest.mark.parametrize(
    "case",
    [c for c in cases("resize") if "base64" in c["image"] and "antialias" in c["resize"]],
    ids=lambda case: case["name"],
)
def test_the_filter_is_that_of_torch(case):
    image, size = array(case["image"]), case["size"]
    pixels = torch.tensor(image).permute(2, 0, 1)[None].double()
    resized = torch.nn.functional.interpolate(
        pixels, (size, size), mode="bilinear", align_corners=False, antialias=True
    )
    assert np.abs(array(case["expected"]) - resized[0].permute(1, 2, 0).numpy()).max() <= 1.01


@pytest.mark.parametrize(
    "case",
    [c for c in cases("prompts") if "expected" in c and c["preset"] == "nano"],
    ids=lambda case: case["name"],
)
def test_maps_are_drawn_pixel_by_pixel(case):
    rules, expected = case["rules"], case["expected"]
    size = rules["image_size"]
    y, x = np.mgrid[:size, :size].astype(np.float64)
    count = sum(label in (0, 1) for label in expected["point_labels"])
    clicks = zip(expected["point_coords"][:count], expected["point_labels"][:count], strict=True)
    click_map, box_map = np.zeros((size, size), bool), np.ones((size, size), bool)
    if case["box"]:
        (x0, y0), (x1, y1) = expected["point_coords"][count : count + 2]
        box_map = (x >= x0) & (x <= x1) & (y >= y0) & (y <= y1)
    for (cx, cy), label in clicks:
        disc = (x - np.float32(cx)) ** 2 + (y - np.float32(cy)) ** 2 <= rules["click_radius"] ** 2
        if label:
            click_map |= disc
        else:
            box_map &= ~disc
    maps = np.stack([click_map, box_map]).astype(np.uint8) * 255
    assert expected["marked"] == [int(click_map.sum()), int(box_map.sum())]
    assert expected["prompt_maps"]["crc32"] == f"{zlib.crc32(maps.tobytes()):08x}"
    for (cx, cy), label in zip(expected["point_coords"], expected["point_labels"], strict=True):
        assert label == -1 or (0 <= cx <= size and 0 <= cy <= size)


@named("masks")
def test_masks_are_enlarged_as_the_formula_says(case):
    masks = array(case["low_res_masks"]).astype(np.float64)
    height, width = case["image_hw"]
    side = masks.shape[1]
    rows, columns = (
        np.clip((np.arange(count) + 0.5) * side / count - 0.5, 0, side - 1)
        for count in (height, width)
    )
    grid = np.meshgrid(rows, columns, indexing="ij")
    found = [ndimage.map_coordinates(mask, grid, order=1) > case["threshold"] for mask in masks]
    expected = case["expected"]
    assert expected["areas"] == [int(mask.sum()) for mask in found]
    assert expected["masks"] == described(np.stack(found).astype(np.uint8))
    ious = case["iou_predictions"]
    assert expected["order"] == sorted(range(len(ious)), key=lambda i: -ious[i])


@named("auto")
def test_the_automatic_start_takes_the_mask_with_the_largest_iou_with_the_blob(case):
    blob, expected = array(case["expected"]["blob_on_grid"]) > 0, case["expected"]
    masks = array(case["low_res_masks"]) > case["threshold"]
    shares = [(mask & blob).sum() / max((mask | blob).sum(), 1) for mask in masks]
    assert shares[expected["chosen"]] == max(shares)
    best_first = [index for index in expected["order"] if shares[index] == max(shares)]
    assert expected["chosen"] == best_first[0]
    x0, y0, x1, y1 = expected["box"]
    points = np.array(expected["point_coords"])
    assert (points >= (x0 - 0.5, y0 - 0.5)).all()
    assert (points <= (x1, y1)).all()


@named("orientation")
def test_orientations_are_those_of_exif(case):
    image = Image.fromarray(array(case["image"]))
    image.getexif()[0x0112] = case["orientation"]
    np.testing.assert_array_equal(array(case["expected"]), ImageOps.exif_transpose(image))


def test_large_photos_are_the_formula():
    image = pattern(300, 400)
    assert image[299, 399, 2] == (7 * 399 + 13 * 299 + 29 * 2 + (299 * 399) % 251) % 256


@pytest.mark.parametrize("name", END_TO_END)
def test_whole_runs_give_the_same_masks(nano_export, name):
    session = open_session(nano_export / name)
    runs = {case["runtime"]: case for case in cases("end_to_end")}
    expected = runs[session.metadata.runtime]
    assert expected["weights_sha256"] == session.metadata.weights_sha256, (
        "end_to_end.json is of other weights: sqsam-vectors tests/vectors " + " ".join(END_TO_END)
    )
    found = end_to_end(session)
    wanted = expected["expected"]
    difference = np.abs(array(found["expected"]["logits"]) - array(wanted["logits"]))
    assert difference.max() <= wanted["tolerance"]
    mask, right = array(found["expected"]["mask"]) > 0, array(wanted["mask"]) > 0
    assert (mask & right).sum() / (mask | right).sum() >= wanted["min_mask_iou"]
    assert 0.05 < right.mean() < 0.95


def test_the_command_writes_them_with_a_whole_run(nano_export, tmp_path):
    done = run_command("vectors", tmp_path / "out", nano_export / "nano-int8.onnx")
    assert done.code == 0, done.stderr
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {f"{topic}.json" for topic in (*TOPICS, "end_to_end")}
    refused = run_command("vectors", tmp_path / "no", nano_export / "saliency-int8.onnx")
    assert refused.code == 3
    assert "saliency" in refused.stderr
    assert not (tmp_path / "no").exists()
