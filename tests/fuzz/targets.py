"""Targets of fuzzing: readers of something that others write, with a small file of each kind."""

import io
import json
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save

from sqsam_deploy.artifact.manifest import parse_manifest
from sqsam_deploy.artifact.metadata import stored_metadata
from sqsam_deploy.benchmark.resultfile import read_result
from sqsam_deploy.benchmark.subjects import peer_targets
from sqsam_deploy.checkpoint.matching import as_float32
from sqsam_deploy.checkpoint.reading import read_state_file
from sqsam_deploy.datasets import open_dataset
from sqsam_deploy.datasets.images import decode_image
from sqsam_deploy.evaluation.detections import read_detections
from sqsam_deploy.model.config import NANO
from sqsam_deploy.model.description import describe
from sqsam_deploy.recipes import read_recipe
from sqsam_deploy.release.document import parse_release
from sqsam_deploy.release.evidence import read_parity
from sqsam_deploy.release.lock import read_lock
from sqsam_deploy.runtimes import open_session, read_metadata
from tests.fuzz.mutations import mutate, mutate_json

TESTS = Path(__file__).parents[1]
EARLIER = TESTS / "golden" / "v0.1"
STORE = TESTS / "release" / "golden" / "v1" / "store"


@dataclass(frozen=True)
class Target:
    """A reader.

    Attributes:
        seeds: Files it reads, or must refuse.
        read: Reads a file; the path's name is `name`.
        name: Of the file.
        change: Makes another file out of a seed.
    """

    seeds: Callable[[], list[bytes]]
    read: Callable[[Path], object]
    name: str = "document.json"
    change: Callable[[bytes, random.Random], bytes] = mutate_json


def _json(document: object) -> list[bytes]:
    return [json.dumps(document).encode()]


def _drift() -> dict[str, float]:
    return {"mean": 0.1, "low": 0.0, "high": 0.2}


def _release() -> list[bytes]:
    blobs = [path.read_bytes() for path in (STORE / "blobs").rglob("*") if path.is_file()]
    return [blob for blob in blobs if b'"release_version"' in blob[:200]]


def _manifest() -> list[bytes]:
    blobs = [path.read_bytes() for path in (STORE / "blobs").rglob("*") if path.is_file()]
    return [blob for blob in blobs if b'"manifest_version"' in blob[:200]]


def _metadata() -> list[bytes]:
    described = describe(NANO, runtime="onnx", precision="int8", weights_sha256="0" * 64)
    return [described.model_dump_json().encode()]


def _results() -> list[bytes]:
    files = sorted((TESTS.parent / "benchmarks" / "results").rglob("*.json"))
    return [min((file.read_bytes() for file in files), key=len)]


_TENSORS = {
    "encoder.stem.0.conv.weight": torch.ones(2, 2, 3, 3),
    "encoder.stem.0.norm.running_var": torch.ones(2),
    "encoder.stem.0.norm.num_batches_tracked": torch.tensor(3),
    "iou_token": torch.zeros(1, 4, dtype=torch.float16),
}


def _torch_file(content: object, zipped: bool) -> bytes:
    target = io.BytesIO()
    torch.save(content, target, _use_new_zipfile_serialization=zipped)
    return target.getvalue()


def _torch_files() -> list[bytes]:
    contents: list[object] = [_TENSORS, {"model": _TENSORS, "ema": {"module": _TENSORS}, "step": 3}]
    return [_torch_file(content, zipped) for content in contents for zipped in (True, False)]


def _read_weights(path: Path) -> object:
    return as_float32(read_state_file(path).tensors, path)


def _pictures() -> list[bytes]:
    pixels = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)
    image, exif = Image.fromarray(pixels), Image.Exif()
    exif[0x0112] = 6
    made = []
    kinds: dict[str, dict[str, object]] = {"JPEG": {"exif": exif}, "PNG": {"exif": exif}}
    kinds |= {kind: {} for kind in ("WEBP", "BMP", "GIF", "DDS", "EPS", "PPM", "AVIF")}
    kinds["TIFF"] = {"compression": "tiff_lzw"}
    for kind, options in kinds.items():
        target = io.BytesIO()
        image.save(target, kind, **options)
        made.append(target.getvalue())
    return made


def _coco(path: Path) -> None:
    for record in open_dataset(path, path.parent):
        for item in record.objects:
            item.mask()


def _coco_files() -> list[bytes]:
    image = {"id": 1, "file_name": "a.png", "width": 32, "height": 24}
    both = {"image_id": 1, "category_id": 1, "iscrowd": 0, "area": 20.0, "bbox": [1, 1, 9, 9]}
    polygon = both | {"id": 1, "segmentation": [[1, 1, 9, 1, 9, 9, 1, 9]]}
    runs = both | {"id": 2, "segmentation": {"size": [24, 32], "counts": [8, 20, 740]}}
    return _json(
        {
            "images": [image],
            "annotations": [polygon, runs],
            "categories": [{"id": 1, "name": "cat"}],
        }
    )


def _mlpackage(path: Path) -> object:
    """The file takes the place of one of the package's own."""
    package = path.with_suffix(".mlpackage")
    shutil.rmtree(package, ignore_errors=True)
    shutil.copytree(EARLIER / "tiny-int8.mlpackage", package)
    kind = "Manifest.json" if path.suffix == ".json" else "Data/com.apple.CoreML/model.mlmodel"
    shutil.copyfile(path, package / kind)
    return open_session(package)


def _earlier(*names: str) -> Callable[[], list[bytes]]:
    return lambda: [(EARLIER / name).read_bytes() for name in names]


def _peers(path: Path) -> object:
    return peer_targets(path.parent)


TARGETS: dict[str, Target] = {
    "manifest": Target(_manifest, lambda path: parse_manifest(path.read_bytes(), str(path))),
    "release": Target(_release, lambda path: parse_release(path.read_bytes(), str(path))),
    "lock": Target(_earlier("sqsam.lock"), read_lock, "sqsam.lock"),
    "metadata": Target(_metadata, lambda path: stored_metadata(path.read_bytes(), str(path))),
    "parity": Target(
        lambda: _json(
            {
                "schema": "sqsam-parity/1",
                "passed": True,
                "artifacts": {"a.onnx": {"sha256": "0" * 64, "drift": _drift()}},
            }
        ),
        read_parity,
    ),
    "result": Target(_results, read_result),
    "detections": Target(
        lambda: _json([{"image_id": 1, "category_id": 1, "bbox": [0, 0, 5, 5], "score": 0.5}]),
        lambda path: read_detections(path, {1: "cat"}),
    ),
    "peers": Target(lambda: _json({"peers": []}), _peers, "peers.json"),
    "recipe": Target(
        lambda: [path.read_bytes() for path in (TESTS.parent / "export").glob("*.toml")],
        read_recipe,
        "recipe.toml",
        mutate,
    ),
    "torch": Target(_torch_files, _read_weights, "weights.pt", mutate),
    "safetensors": Target(lambda: [save(_TENSORS)], _read_weights, "w.safetensors", mutate),
    "photo": Target(
        _pictures, lambda path: decode_image(path.read_bytes(), str(path)), "photo", mutate
    ),
    "coco": Target(_coco_files, _coco),
    "onnx": Target(_earlier("tiny-int8.onnx"), open_session, "a.onnx", mutate),
    # Not `open_session`: ExecuTorch's delegates trust the bytes of a program, and some damaged
    # ones crash them; docs/security.md says so.
    "pte": Target(_earlier("tiny-int8.pte"), read_metadata, "a.pte", mutate),
    "mlpackage manifest": Target(
        _earlier("tiny-int8.mlpackage/Manifest.json"), _mlpackage, "a.json"
    ),
    "mlpackage": Target(
        _earlier("tiny-int8.mlpackage/Data/com.apple.CoreML/model.mlmodel"),
        _mlpackage,
        "a.mlmodel",
        mutate,
    ),
}
