"""Memory of an evaluation the size of COCO's val2017: 5,000 photos, 36,000 masks.

    python benchmarks/coco_memory.py FOLDER [--evaluated 200] [ARTIFACT ARTIFACT]

Writes a COCO file with polygons and links to one photo into FOLDER, opens it, evaluates some of it
with two artifacts where they are named, goes on with made-up results for all of it (three prompts,
three artifacts), and judges and writes the report. Prints the process's peak after each step.
"""

import argparse
import json
import resource
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from sqsam_deploy.artifact.metadata import ArtifactMetadata
from sqsam_deploy.datasets import Dataset, bundled_dataset, load_image, open_dataset
from sqsam_deploy.evaluation.discovery import load
from sqsam_deploy.evaluation.evaluator import ImageResult
from sqsam_deploy.evaluation.gate import DriftLimits
from sqsam_deploy.evaluation.plan import EvaluationPlan, Loaded, assign_references
from sqsam_deploy.evaluation.protocols import GroundTruthBoxes, RandomPoints
from sqsam_deploy.evaluation.report import write_report
from sqsam_deploy.evaluation.results import ObjectResult, write_results
from sqsam_deploy.evaluation.resume_log import ResumeLog
from sqsam_deploy.evaluation.runner import run_plan
from sqsam_deploy.evaluation.summary import Settings, collect, summarize
from sqsam_deploy.model.config import preset
from sqsam_deploy.model.description import describe

PHOTOS, MASKS = 5000, 36_000
WIDTH, HEIGHT = 640, 480
#: Corners of a polygon; COCO's have 20 to 60.
CORNERS = 40


def write_coco(folder: Path, photos: int = PHOTOS, masks: int = MASKS) -> Path:
    """The annotation file; its photos are links to one."""
    rng = np.random.default_rng(0)
    (folder / "images").mkdir(parents=True, exist_ok=True)
    photo = folder / "photo.jpg"
    pixels = load_image(bundled_dataset("sample").images[0])
    Image.fromarray(pixels).resize((WIDTH, HEIGHT)).save(photo, quality=90)
    images = []
    for number in range(photos):
        link = folder / "images" / f"{number:012}.jpg"
        if not link.exists():
            link.hardlink_to(photo)
        images.append({"id": number, "file_name": link.name, "width": WIDTH, "height": HEIGHT})
    angles = np.linspace(0, 2 * np.pi, CORNERS, endpoint=False)
    annotations = []
    for number in range(masks):
        size = rng.uniform(10, 120, 2)
        center = rng.uniform(size + 1, np.array([WIDTH, HEIGHT]) - size - 1)
        points = center + size * np.stack([np.cos(angles), np.sin(angles)], 1)
        low, high = points.min(0), points.max(0)
        x, y = points.T
        area = abs(float(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1)))) / 2
        annotations.append(
            {
                "id": number,
                "image_id": number % photos,
                "category_id": 1,
                "area": area,
                "bbox": [*low.tolist(), *(high - low).tolist()],
                "segmentation": [points.round(2).ravel().tolist()],
            }
        )
    content = {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": 1, "name": "thing"}],
    }
    path = folder / "instances.json"
    path.write_text(json.dumps(content))
    return path


def plan_of(loaded: list[Loaded]) -> EvaluationPlan:
    protocols = (GroundTruthBoxes(), RandomPoints((1, 3), seed=0))
    return EvaluationPlan(assign_references(loaded, None), protocols, clicking=False, threads=1)


def made_up(dataset: Dataset, plan: EvaluationPlan) -> Iterator[ImageResult]:
    """Results of every artifact, prompt and object."""
    rng = np.random.default_rng(0)
    for record in dataset:
        rows = [
            ObjectResult(
                artifact=artifact.name,
                image=record.id,
                object=item.id,
                category=item.category,
                area=item.area,
                kind=kind,
                prompt=f"{hash((record.id, item.id, kind)) & 0xFFFFFFFFFFFF:012x}",
                truth=f"{hash((record.id, item.id)) & 0xFFFFFFFFFFFF:012x}",
                iou=float(rng.uniform(0.6, 0.9)),
                same_mask_iou=float(rng.uniform(0.6, 0.9)),
                best_mask=int(rng.integers(4)),
                predicted_iou=float(rng.uniform(0.6, 0.9)),
                agreement=None if artifact.is_reference else float(rng.uniform(0.97, 1)),
                sibling_agreement=None,
            )
            for kind in plan.kinds
            for item in record.objects
            for artifact in plan.artifacts
        ]
        yield ImageResult(record.id, tuple(rows))


def report_peak(step: str) -> None:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Kilobytes on Linux, bytes on macOS.
    print(f"{step}: {peak / (1e6 if sys.platform == 'linux' else 1e9) * 1.024:.2f} GB", flush=True)


def stand_in(name: str, precision: str) -> Loaded:
    metadata: ArtifactMetadata = describe(
        preset("paper"), runtime="onnx", precision=precision, weights_sha256="0" * 64
    )
    return Loaded(name, Path(name), "0" * 64, metadata)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("artifacts", type=Path, nargs="*", help="a float and an int8 one")
    parser.add_argument("--evaluated", type=int, default=200, help="photos to evaluate with them")
    options = parser.parse_args()
    report_peak("libraries")
    dataset = open_dataset(write_coco(options.folder))
    report_peak(f"{len(dataset)} photos, {dataset.object_count} masks opened")
    if options.artifacts:
        plan = plan_of([load(path.name, path) for path in options.artifacts])
        some = Dataset("some", dataset.images[: options.evaluated])
        run_plan(plan, some, options.folder / "run")
        report_peak(f"{len(some)} photos evaluated, {len(plan.kinds)} prompts")
    plan = plan_of([stand_in("float", "fp32"), stand_in("one", "int8"), stand_in("two", "int8")])
    with ResumeLog(options.folder / "results.jsonl", "made up") as log:
        images = list(made_up(dataset, plan))
        for image in images[:100]:
            log.add(image)
    report_peak(f"{sum(len(image.objects) for image in images)} results")
    report = summarize(plan, dataset, images, Settings(DriftLimits(), seed=0))
    write_report(options.folder / "parity.json", report)
    rows = collect(plan, images).objects.values()
    write_results(options.folder / "parity-objects.csv", (row for own in rows for row in own))
    report_peak("judged and written")


if __name__ == "__main__":
    main()
