"""Draws clicks on parts of objects, and what each network cuts out for them.

    python benchmarks/whole_objects.py float docs/figures/whole-objects.png
    python benchmarks/whole_objects.py float figure.png --peer MobileSAM=encoder.onnx+decoder.onnx

One row a photo: the photo with the click, the truth, each peer, each artifact of the directory.
The queries are those of `sqsam-parity --whole-objects`; shown are those whose objects are largest,
one a photo.
"""

import argparse
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rich.progress import track

from sqsam_deploy._internal.geometry import mask_iou
from sqsam_deploy.datasets import bundled_dataset, open_dataset
from sqsam_deploy.evaluation.discovery import artifacts_alone, find_peers
from sqsam_deploy.evaluation.evaluator import Evaluator, open_scene
from sqsam_deploy.evaluation.plan import Artifact, EvaluationPlan, own_references
from sqsam_deploy.evaluation.protocols import Query, Scene
from sqsam_deploy.evaluation.segmenters import open_artifact
from sqsam_deploy.evaluation.whole_objects import WholeObjects
from sqsam_deploy.pictures import overlay, with_prompt


@dataclass(frozen=True)
class Case:
    """A query about one object of a photo."""

    scene: Scene
    query: Query
    target: int

    @property
    def truth(self) -> NDArray[np.bool_]:
        """The object's mask, HxW."""
        return self.scene.masks[self.target]

    def share(self) -> float:
        """Of the photo that the object covers."""
        return float(self.truth.mean())


def largest(scenes: Sequence[Scene], kind: str, photos: int, seed: int) -> list[Case]:
    """The queries about the largest objects, one a photo, by the share of the photo."""
    found: list[Case] = []
    for scene in scenes:
        cases = [
            Case(scene, query, query.target)
            for query in WholeObjects(seed).queries(scene)
            if query.kind == kind and query.target is not None
        ]
        found += [max(cases, key=Case.share)] if cases else []
    return sorted(found, key=Case.share, reverse=True)[:photos]


def draw(cases: Sequence[Case], artifacts: Sequence[Artifact], path: Path) -> Iterator[str]:
    """Writes the figure; yields a line about each row."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    plan = EvaluationPlan(tuple(artifacts), (), clicking=False, threads=1)
    evaluator = Evaluator(plan, {a.name: open_artifact(a, plan) for a in artifacts})
    columns = 2 + len(artifacts)
    figure, axes = pyplot.subplots(
        len(cases), columns, figsize=(2.6 * columns, 2.2 * len(cases)), squeeze=False
    )
    for row, case in zip(axes, cases, strict=True):
        scene, query, truth = case.scene, case.query, case.truth
        width = max(3, min(scene.image_hw) // 60)
        row[0].imshow(with_prompt(scene.image, query.prompt, width))
        row[1].imshow(overlay(scene.image, truth))
        row[0].set_title(f"click: {query.kind}", fontsize=9)
        row[1].set_title(f"truth: {scene.record.objects[case.target].category}", fontsize=9)
        for panel, artifact in zip(row[2:], artifacts, strict=True):
            mask = evaluator.predict(artifact, query.prompt, scene)
            panel.imshow(overlay(scene.image, mask))
            panel.set_title(f"{artifact.name}: IoU {mask_iou(mask, truth):.2f}", fontsize=9)
        yield f"{scene.record.path.name}: {query.kind}"
    for panel in axes.flat:
        panel.axis("off")
    figure.tight_layout(pad=0.4)
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=80, format="png")
    # 256 colors: half the size, and no difference to the eye.
    with Image.open(buffer) as picture:
        dithered = picture.convert("RGB").quantize(256, dither=Image.Dither.FLOYDSTEINBERG)
        dithered.save(path, optimize=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("artifacts", type=Path, help="directory with artifacts")
    parser.add_argument("figure", type=Path)
    parser.add_argument("--peer", action="append", default=[], help="as in sqsam-parity")
    parser.add_argument("--dataset", type=Path, help="without it, the bundled sample")
    parser.add_argument("--kind", choices=WholeObjects.kinds, default="lower-third")
    parser.add_argument("--photos", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0, help="of the clicks")
    options = parser.parse_args()
    dataset = open_dataset(options.dataset) if options.dataset else bundled_dataset("sample")
    scenes = [open_scene(record) for record in track(list(dataset), "reading")]
    peers = own_references(find_peers(options.peer))
    cases = largest(scenes, options.kind, options.photos, options.seed)
    for line in draw(cases, [*peers, *artifacts_alone(options.artifacts)], options.figure):
        print(line)


if __name__ == "__main__":
    main()
