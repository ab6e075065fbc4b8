"""Test vectors for the app libraries: inputs and right answers of every step around the network.

`docs/vectors.md` describes the files. Swift, Kotlin and JavaScript read the same ones.
"""

import base64
import itertools
import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sqsam_deploy._internal.atomic import atomic_write
from sqsam_deploy.artifact.metadata import ArtifactMetadata, InputLayout, arrange_inputs
from sqsam_deploy.datasets import bundled_dataset, load_image
from sqsam_deploy.datasets.images import turned_upright
from sqsam_deploy.errors import UsageError
from sqsam_deploy.model.config import NANO, PRESETS, ModelConfig
from sqsam_deploy.model.description import config_of, default_inputs, describe, describe_saliency
from sqsam_deploy.model.saliency import SALIENCY
from sqsam_deploy.predictor import upsample_masks
from sqsam_deploy.prompts import (
    Prompt,
    encode_prompt,
    limit_clicks,
    prepare_image,
    saliency_clicks,
    stretch_filtered,
    validate_prompt,
)
from sqsam_deploy.prompts.binding import bind_inputs
from sqsam_deploy.prompts.encoding import EncodedPrompt
from sqsam_deploy.prompts.saliency import STEPS, most_like_blob, saliency_of_logits
from sqsam_deploy.runtimes.session import Session

FORMAT_VERSION = 1
#: Arrays with more bytes are given as their hash alone.
_MOST_BYTES = 1 << 15
#: Masks of vectors have no value nearer to the threshold: no rounding decides a pixel.
_CLEAR = 1e-4

Case = dict[str, Any]


def write_vectors(directory: Path, sessions: Iterable[Session] = ()) -> tuple[Path, ...]:
    """Writes TOPIC.json for every topic, and end_to_end.json for artifacts.

    Args:
        directory: Made where it is missing.
        sessions: Open segmentation artifacts.

    Raises:
        ArtifactError: An artifact is a saliency network.
        OSError: The directory cannot be written.
    """
    topics = {topic: list(cases()) for topic, cases in TOPICS.items()}
    runs = [end_to_end(session) for session in sessions]
    if runs:
        topics["end_to_end"] = runs
    directory.mkdir(parents=True, exist_ok=True)
    return tuple(_write(directory / f"{topic}.json", cases) for topic, cases in topics.items())


def _write(path: Path, cases: list[Case]) -> Path:
    head = json.dumps({"version": FORMAT_VERSION, "topic": path.stem})
    # A line for each case: a change shows which one.
    lines = ",\n".join(json.dumps(case) for case in cases)
    atomic_write(path, f'{head[:-1]}, "cases": [\n{lines}\n]}}\n'.encode())
    return path


def array(values: NDArray[np.generic]) -> Case:
    """An array as JSON: in base64, or the hash alone of a large one."""
    # Big-endian machines write the same bytes.
    content = np.ascontiguousarray(values).astype(values.dtype.newbyteorder("<")).tobytes()
    described: Case = {"dtype": values.dtype.name, "shape": list(values.shape)}
    if len(content) > _MOST_BYTES:
        return described | {"crc32": f"{zlib.crc32(content):08x}"}
    return described | {"base64": base64.b64encode(content).decode("ascii")}


def pattern(height: int, width: int) -> NDArray[np.uint8]:
    """The picture that a case names by its size: HxWx3 uint8, each value from its position."""
    y, x, c = np.ogrid[:height, :width, :3]
    values: NDArray[np.uint8] = ((7 * x + 13 * y + 29 * c + x * y % 251) % 256).astype(np.uint8)
    return values


def _noise(height: int, width: int, seed: int) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def _metadata() -> Iterator[Case]:
    layouts: Sequence[InputLayout] = ("nchw-float32", "nhwc-uint8", "nhwc-int8", "image")
    for config in PRESETS.values():
        for layout in layouts:
            inputs = arrange_inputs(default_inputs(config), layout)
            about = describe(
                config, runtime="onnx", precision="int8", weights_sha256="0" * 64, inputs=inputs
            )
            yield _described(f"{config.name}, {layout}", about)
    about = describe_saliency(SALIENCY, runtime="onnx", precision="int8", weights_sha256="0" * 64)
    yield _described("saliency", about)
    text = about.model_dump_json()
    wrong = {
        "no JSON": text[:-1],
        "another version": text.replace('"format_version":1', '"format_version":2'),
        "an impossible size": text.replace(f'"image_size":{SALIENCY.image_size}', '"image_size":0'),
        "no inputs": "{}",
    }
    yield from ({"name": name, "json": bad, "error": "metadata"} for name, bad in wrong.items())


def _described(name: str, about: ArtifactMetadata) -> Case:
    about = about.model_copy(update={"package_version": "0"})
    specs = {
        role: [
            {"name": s.name, "dtype": s.dtype, "shape": list(s.shape), "layout": s.layout}
            for s in given
        ]
        for role, given in (("inputs", about.inputs), ("outputs", about.outputs))
    }
    kept = {"preset", "task", "image_size", "mask_size", "resize", "mask_threshold", "prompts"}
    expected = about.model_dump(mode="json", include=kept) | specs
    return {"name": name, "json": about.model_dump_json(), "expected": expected}


_PHOTOS: dict[str, tuple[int, int]] = {
    "landscape": (41, 60),
    "portrait": (60, 41),
    "square": (50, 50),
    "one to three": (20, 60),
    "three to one": (60, 20),
    "smaller than the square": (9, 14),
    "one pixel": (1, 1),
    "one row": (1, 60),
    "one column": (60, 1),
    "as wide as the square": (57, 24),
    "of the square's size": (24, 24),
}


def _resize() -> Iterator[Case]:
    rules = {"stretch-bilinear-antialias": NANO, "stretch-bilinear": PRESETS["release-2023-12"]}
    for rule, config in rules.items():
        small = replace(config, image_size=24)
        for number, (name, (height, width)) in enumerate(_PHOTOS.items()):
            photo = _noise(height, width, number)
            yield {
                "name": f"{name}, {rule}",
                "resize": rule,
                "size": small.image_size,
                "image": array(photo),
                "expected": array(prepare_image(photo, small)),
            }
    for config in PRESETS.values():
        for height, width in ((480, 640), (1600, 900), (100, 150)):
            rule = describe(config, runtime="onnx", precision="fp32", weights_sha256="").resize
            yield {
                "name": f"{config.name}, {width}x{height}",
                "resize": rule,
                "size": config.image_size,
                "image": {"pattern": {"height": height, "width": width}},
                "expected": array(prepare_image(pattern(height, width), config)),
            }


def _prompt_inputs() -> Iterator[tuple[str, tuple[int, int], Case]]:
    """Name, height and width of the photo, and a user's prompt."""
    photo = (480, 640)
    yield "nothing", photo, {}
    yield "a click", photo, {"points": [(320.0, 200.0, 1)]}
    yield "a click between pixels", photo, {"points": [(100.37, 55.81, 1)]}
    yield "a background click", photo, {"points": [(320, 200, 1), (300.5, 220.25, 0)]}
    yield "a background click alone", photo, {"points": [(12, 470, 0)]}
    yield "a box", photo, {"box": (100.0, 60.0, 420.5, 300.25)}
    yield "a box with its corners swapped", photo, {"box": (420.5, 300.25, 100.0, 60.0)}
    yield "a box over the edge", photo, {"box": (-50, -20, 900, 500)}
    yield "a box of one point", photo, {"box": (200, 200, 200, 200)}
    yield (
        "a box, clicks and background clicks",
        photo,
        {
            "box": (100, 60, 420, 300),
            "points": [(150, 100, 1), (180, 260, 1), (110, 70, 0), (600, 400, 0)],
        },
    )
    corners = [(0, 0, 1), (639, 0, 1), (0, 479, 1), (639, 479, 1)]
    yield "clicks in the corners", photo, {"points": corners}
    yield "a click moved to the edge", photo, {"points": [(-30, 700, 1), (650.5, 100, 0)]}
    yield "padding", photo, {"points": [(5, 5, -1), (320, 240, 1), (0, 0, -1)]}
    yield "six clicks", photo, {"points": [(50 * i + 7, 40 * i + 9, i % 2) for i in range(6)]}
    yield (
        "more clicks than the network takes",
        photo,
        {"points": [(50 * i + 7, 40 * i + 9, int(i % 3 > 0)) for i in range(11)]},
    )
    yield "the same click twice", photo, {"points": [(200, 100, 1), (200, 100, 1)]}
    yield (
        "a disc cut out of the box's edge",
        photo,
        {"box": (50, 50, 90, 90), "points": [(50, 50, 0)]},
    )
    yield "a portrait photo", (1600, 900), {"points": [(450, 1500, 1)], "box": (10, 900, 800, 1590)}
    yield "a photo of 12 megapixels", (3024, 4032), {"points": [(2016.5, 1512.5, 1), (4031, 0, 0)]}
    yield "a thin photo", (30, 900), {"points": [(880, 3, 1), (20, 29, 0)]}
    yield "a tiny photo", (5, 7), {"points": [(0.5, 0.5, 1)], "box": (0, 0, 1, 1)}
    yield "whole numbers at the first pixel", photo, {"points": [(0, 0, 1)]}


def _refused_prompts() -> Iterator[tuple[str, str, tuple[int, int], Case]]:
    photo = (480, 640)
    yield "a click far outside", "far", photo, {"points": [(2000, 100, 1)]}
    yield "a box outside", "box", photo, {"box": (700, 500, 800, 600)}
    yield "clicks as shares", "fractions", photo, {"points": [(0.5, 0.25, 1)]}
    yield "a box in shares", "fractions", photo, {"box": (0.1, 0.2, 0.6, 0.9)}
    yield "an unknown label", "labels", photo, {"points": [(10, 10, 2)]}


def _prompts() -> Iterator[Case]:
    for config in PRESETS.values():
        about = describe(config, runtime="onnx", precision="fp32", weights_sha256="")
        assert about.prompts is not None
        rules = {"image_size": about.image_size, **about.prompts.model_dump()}
        for name, image_hw, given in _prompt_inputs():
            case = _user_prompt(f"{config.name}, {name}", image_hw, given)
            encoded = _encoded(case, config)
            yield case | {"preset": config.name, "rules": rules, "expected": _answer(encoded)}
    for name, why, image_hw, given in _refused_prompts():
        case = _user_prompt(name, image_hw, given)
        _must_fail(case)
        yield case | {"preset": NANO.name, "error": why}


def _user_prompt(name: str, image_hw: tuple[int, int], given: Case) -> Case:
    points = given.get("points", [])
    return {
        "name": name,
        "image_hw": list(image_hw),
        "point_coords": [list(point[:2]) for point in points],
        "point_labels": [point[2] for point in points],
        "box": list(given["box"]) if "box" in given else None,
    }


def _validated(case: Case) -> Prompt:
    height, width = case["image_hw"]
    return validate_prompt(case["point_coords"], case["point_labels"], case["box"], (height, width))


def _must_fail(case: Case) -> None:
    try:
        _validated(case)
    except UsageError:
        return
    raise AssertionError(f"{case['name']} is not refused")


def _encoded(case: Case, config: ModelConfig) -> EncodedPrompt:
    height, width = case["image_hw"]
    prompt = limit_clicks(_validated(case), config.max_clicks)
    return encode_prompt(prompt, (height, width), config)


def _answer(encoded: EncodedPrompt) -> Case:
    return {
        "prompt_maps": array(encoded.prompt_maps),
        "marked": [int((channel > 0).sum()) for channel in encoded.prompt_maps],
        "point_coords": _numbers(encoded.point_coords),
        "point_labels": _numbers(encoded.point_labels),
    }


def _numbers(values: NDArray[np.float32]) -> Any:
    """float32 with the shortest decimals that give it back."""
    if values.ndim:
        return [_numbers(value) for value in values]
    return float(str(values))


def _packing() -> Iterator[Case]:
    config = replace(NANO, image_size=6)
    image = _noise(6, 6, 1)
    maps = np.where(_noise(6, 6, 2)[..., :2] > 127, 255, 0).astype(np.uint8).transpose(2, 0, 1)
    prompt = EncodedPrompt(
        maps, np.zeros((config.max_points, 2), np.float32), np.zeros(config.max_points, np.float32)
    )
    layouts: Sequence[InputLayout] = ("nchw-float32", "nhwc-uint8", "nhwc-int8", "image")
    for layout in layouts:
        inputs = arrange_inputs(default_inputs(config), layout)
        bound = bind_inputs(inputs, image, prompt)
        wanted = {name: array(bound[name]) for name in bound if not name.startswith("point_")}
        given = {"image": array(image), "prompt_maps": array(maps)}
        yield {"name": layout, "layout": layout, **given, "expected": wanted}


def _saliency_maps() -> Iterator[tuple[str, NDArray[np.float32]]]:
    rng = np.random.default_rng(3)

    def steps(values: NDArray[np.generic]) -> NDArray[np.float32]:
        return values.astype(np.float32) / np.float32(STEPS)

    yield "flat", np.full((4, 8), 0.5, np.float32)
    one = np.zeros((9, 9), np.float32)
    one[2, 6] = 1
    yield "one pixel", one
    two = np.zeros((10, 16), np.float32)
    two[1:5, 1:6], two[6:9, 9:15] = 0.9, 0.9
    yield "two blobs of the same value: the larger one", two
    first = np.zeros((6, 12), np.float32)
    first[1:4, 1:4], first[1:4, 7:10] = 1, 1
    yield "two equal blobs: the first one", first
    often = np.zeros((8, 16), np.float32)
    often[1:7, 1:7], often[3, 3] = 0.6, 1
    often[2:4, 10:13] = 1
    yield "two blobs of the same value: where it occurs more often", often
    corner = np.zeros((6, 6), np.float32)
    corner[0:3, 0:3], corner[3:6, 3:6] = 1, 1
    yield "corners that touch are one blob", corner
    ring = np.zeros((15, 15), np.float32)
    ring[2:13, 2:13], ring[5:10, 5:10] = 1, 0
    yield "a ring: its center lies outside", ring
    bent = np.zeros((12, 12), np.float32)
    bent[1:11, 1:3], bent[9:11, 1:11] = 1, 1
    yield "bent: two clicks move", bent
    y, x = np.mgrid[:24, :32]
    hill = np.exp(-((x - 20.3) ** 2 / 60 + (y - 9.1) ** 2 / 30))
    yield "a hill", steps(np.rint(hill * STEPS))
    yield "noise", steps(rng.integers(0, 256, (16, 16)))
    yield "any range", (rng.normal(size=(12, 20)) * 7 - 3).astype(np.float32)
    yield "one row", steps(rng.integers(0, 256, (1, 20)))
    yield "one column", steps(rng.integers(0, 256, (20, 1)))
    yield "a single pixel", np.ones((1, 1), np.float32)


def _saliency() -> Iterator[Case]:
    for name, saliency in _saliency_maps():
        found = saliency_clicks(saliency)
        image_hw = (480, 640)
        yield {
            "name": name,
            "map": array(saliency),
            "image_hw": list(image_hw),
            "expected": {
                "blob": array(found.blob.astype(np.uint8)),
                "area": int(found.blob.sum()),
                "threshold": found.threshold,
                "maximum": found.maximum,
                "maximum_count": found.maximum_count,
                "point_coords": _numbers(found.point_coords),
                "on_image": _numbers(found.scaled_to(image_hw)),
            },
        }
    logits = np.linspace(-40, 40, 256, dtype=np.float32).reshape(16, 16)
    steps = np.rint(saliency_of_logits(logits) * STEPS).astype(np.uint8)
    yield {"name": "logits", "logits": array(logits), "expected": {"steps": array(steps)}}


def _masks() -> Iterator[Case]:
    for name, image_hw, side, threshold in (
        ("enlarged", (37, 53), 8, 0.0),
        ("enlarged, portrait", (61, 29), 8, 0.0),
        ("another threshold", (40, 40), 8, 0.5),
        ("of the photo's own size", (16, 16), 16, 0.0),
        ("reduced", (9, 13), 16, 0.0),
        ("one pixel", (1, 1), 8, 0.0),
        ("a larger photo", (120, 160), 16, 0.0),
    ):
        masks, upsampled = _clear_logits(side, image_hw, threshold)
        found = (upsampled > threshold).astype(np.uint8)
        yield {
            "name": name,
            "low_res_masks": array(masks),
            "iou_predictions": _numbers(_IOUS),
            "image_hw": list(image_hw),
            "threshold": threshold,
            "expected": {
                "order": np.argsort(-_IOUS, kind="stable").tolist(),
                "masks": array(found),
                "areas": found.sum(axis=(1, 2)).tolist(),
            },
        }


#: With a tie, which keeps its order.
_IOUS = np.array([0.5, 0.75, 0.75, 0.25], np.float32)


def _clear_logits(
    side: int, image_hw: tuple[int, int], threshold: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Smooth random logits, and the same enlarged, none of them near the threshold."""
    for seed in range(10_000):
        coarse = np.random.default_rng(seed).normal(size=(4, 3, 3)).astype(np.float32) * 8
        masks = upsample_masks(coarse, (side, side))
        upsampled = upsample_masks(masks, image_hw)
        if np.abs(upsampled - threshold).min() > _CLEAR:
            return masks, upsampled
    raise AssertionError("no logits stay clear of the threshold")


def _orientation() -> Iterator[Case]:
    image = _noise(3, 5, 8)
    for value in range(1, 9):
        turned = np.asarray(turned_upright(Image.fromarray(image), value))
        yield {
            "name": str(value),
            "image": array(image),
            "orientation": value,
            "expected": array(turned),
        }


def _automatic_start() -> Iterator[Case]:
    maps = dict(_saliency_maps())
    for side, (name, saliency) in zip(itertools.cycle((8, 12)), maps.items(), strict=False):
        coarse = np.random.default_rng(side).normal(size=(4, 3, 3)).astype(np.float32) * 8
        masks = upsample_masks(coarse, (side, side))
        yield _started(name, saliency, masks)
        # One is just the blob, but predicted to be the worst.
        masks[2] = np.where(saliency_clicks(saliency).blob_on_grid(side), 3, -3)
        yield _started(f"{name}, a mask like it", saliency, masks)
    yield _started("empty masks", maps["a hill"], np.full((4, 8, 8), -1, np.float32))


def _started(name: str, saliency: NDArray[np.float32], masks: NDArray[np.float32]) -> Case:
    found, image_hw = saliency_clicks(saliency), (90, 120)
    order = np.argsort(-_AUTO_IOUS, kind="stable")
    return {
        "name": name,
        "map": array(saliency),
        "image_hw": list(image_hw),
        "low_res_masks": array(masks),
        "iou_predictions": _numbers(_AUTO_IOUS),
        "threshold": 0.0,
        "expected": {
            "point_coords": _numbers(found.scaled_to(image_hw)),
            "box": _numbers(np.array(found.box_on(image_hw), np.float32)),
            "blob_on_grid": array(found.blob_on_grid(masks.shape[1]).astype(np.uint8)),
            "order": order.tolist(),
            "chosen": int(order[most_like_blob(masks[order] > 0, found)]),
        },
    }


_AUTO_IOUS = np.array([0.5, 0.75, 0.25, 0.75], np.float32)


TOPICS: dict[str, Callable[[], Iterator[Case]]] = {
    "metadata": _metadata,
    "resize": _resize,
    "prompts": _prompts,
    "packing": _packing,
    "saliency": _saliency,
    "masks": _masks,
    "auto": _automatic_start,
    "orientation": _orientation,
}

#: Logits of an int8 artifact on another machine's kernels, and of a float one: largest difference.
_TOLERANCE = {"int8": 2.0, "fp16": 0.5, "fp32": 0.01}

_MIN_MASK_IOU = 0.98


def end_to_end(session: Session) -> Case:
    """A whole run of an artifact: a bundled photo, made small, with a click and a box.

    Raises:
        ArtifactError: It is a saliency network.
    """
    about = session.metadata
    config = config_of(about)
    record = next(iter(bundled_dataset("sample")))
    photo = stretch_filtered(load_image(record), (90, 120))
    case = _user_prompt("", photo.shape[:2], {"points": [(60, 45, 1)], "box": (20, 15, 100, 80)})
    raw = session.run(prepare_image(photo, config), _encoded(case, config))
    best = int(np.argmax(raw.iou_predictions))
    logits = upsample_masks(raw.low_res_masks[best : best + 1], photo.shape[:2])[0]
    mask = logits > about.mask_threshold
    return case | {
        "name": f"{about.preset}, {about.runtime}, {about.precision}",
        "runtime": about.runtime,
        "precision": about.precision,
        "preset": about.preset,
        "weights_sha256": about.weights_sha256,
        "metadata": about.model_dump_json(),
        "image": array(photo),
        "expected": {
            "iou_predictions": _numbers(raw.iou_predictions),
            "best": best,
            "logits": array(raw.low_res_masks[best, ::4, ::4]),
            "tolerance": _TOLERANCE.get(about.precision, _TOLERANCE["int8"]),
            "mask": array(mask.astype(np.uint8)),
            "area": int(mask.sum()),
            "min_mask_iou": _MIN_MASK_IOU,
        },
    }
