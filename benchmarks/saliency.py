"""How good the automatic start is, and pictures of it.

    python benchmarks/saliency.py table ../shared/data/eval --images ecssd_ artifacts/
    python benchmarks/saliency.py figures docs/figures

`table` gives the mean IoU over a dataset's photos with one object each: of `--auto`, of its clicks
alone as any prompt (the paper's start), of the saliency map alone, and of clicks drawn from the
true mask (the protocol of the paper's Table 2, same points for every artifact). The directory is
one that `sqsam-export` wrote; its saliency artifact of the same runtime and precision picks the
clicks, or the bundled float network where there is none.

`figures` draws the documentation's pictures from the bundled sample photos.
"""

import argparse
import io
import itertools
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from sqsam_deploy._internal.geometry import mask_iou
from sqsam_deploy.artifact.manifest import ArtifactEntry, read_manifest
from sqsam_deploy.datasets import ImageRecord, bundled_dataset, load_image, open_dataset
from sqsam_deploy.pictures import overlay
from sqsam_deploy.predictor import Predictor, upsample_masks
from sqsam_deploy.prompts.saliency import SaliencyClicks
from sqsam_deploy.prompts.sampling import draw_points, object_generator
from sqsam_deploy.runtimes import open_session
from sqsam_deploy.saliency import open_saliency

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Side of the grid of clicks that SAM's automatic masks start from (segment-anything).
GRID_POINTS = 32
SHEET_PHOTOS = 6


@dataclass(frozen=True)
class Row:
    """Mean IoU, 0 to 1, of one artifact over all photos.

    `auto_minus_blob` and `auto_minus_clicks` are the paired differences of `--auto` to the blob
    alone and to its clicks as any prompt, each with the ends of its 95% interval (bootstrap over
    photos).
    """

    artifact: str
    photos: int
    auto_minus_blob: tuple[float, float, float]
    auto_minus_clicks: tuple[float, float, float]
    auto: float
    auto_5_clicks: float
    auto_1_click: float
    auto_3_clicks: float
    saliency_blob: float
    saliency_threshold: float
    random_1_click: float
    random_3_clicks: float


def measure(records: Iterable[ImageRecord], predictor: Predictor, name: str, seed: int) -> Row:
    """Every column of the table for one artifact."""
    photos = list(records)
    scores = np.array([list(_scores(record, predictor, seed)) for record in track(photos, name)])
    to_blob, to_clicks = (_difference(scores[:, 0] - scores[:, i]) for i in (_BLOB, _CLICKS))
    return Row(name, len(scores), to_blob, to_clicks, *scores.mean(axis=0).round(4).tolist())


#: Columns of `_scores`.
_CLICKS, _BLOB = 1, 4


def _difference(paired: NDArray[np.floating]) -> tuple[float, float, float]:
    """Mean and the ends of its interval."""
    draws = np.random.default_rng(0).integers(0, len(paired), (10_000, len(paired)))
    low, high = np.percentile(paired[draws].mean(axis=1), (2.5, 97.5)).round(4).tolist()
    return round(float(paired.mean()), 4), low, high


def _scores(record: ImageRecord, predictor: Predictor, seed: int) -> Iterator[float]:
    truth = record.objects[0].mask()
    predictor.set_image(load_image(record))
    yield mask_iou(predictor.predict_auto(multimask_output=False).masks[0], truth)
    prompt = predictor.auto_prompt()
    for count in (5, 1, 3):
        coords, labels = prompt.point_coords[:count], prompt.point_labels[:count]
        yield mask_iou(predictor.predict(coords, labels, multimask_output=False).masks[0], truth)
    clicks, saliency = predictor.auto_clicks(), predictor.auto_saliency_map()
    yield mask_iou(_at_size(clicks.blob, truth.shape), truth)
    yield mask_iou(_at_size(saliency >= clicks.threshold, truth.shape), truth)
    points = draw_points(truth, 3, object_generator(seed, record.objects[0].id))
    for count in (1, 3):
        masks = predictor.predict(points[:count], np.ones(count), multimask_output=False).masks
        yield mask_iou(masks[0], truth)


def _at_size(area: NDArray[np.bool_], image_hw: tuple[int, int]) -> NDArray[np.bool_]:
    """An area of the saliency map on the photo, its edge interpolated as a mask's is."""
    logits = np.where(area, 1, -1).astype(np.float32)[None]
    inside: NDArray[np.bool_] = upsample_masks(logits, image_hw)[0] > 0
    return inside


def pairs(directory: Path, only: list[str]) -> Iterator[tuple[Path, Path | None]]:
    """Segmentation artifacts, each with the saliency artifact of its runtime and precision."""
    entries = read_manifest(directory).artifacts
    partners = {_kind(e): directory / e.path for e in entries if e.metadata.task == "saliency"}
    for entry in entries:
        if entry.metadata.task == "segmentation" and (not only or entry.path in only):
            yield directory / entry.path, partners.get(_kind(entry))


def _kind(entry: ArtifactEntry) -> tuple[str, str]:
    return entry.metadata.runtime, entry.metadata.precision


def table(options: argparse.Namespace) -> None:
    """Prints the table as Markdown, and as JSON into a file."""
    records = [r for r in open_dataset(options.dataset) if r.id.startswith(options.images)]
    rows = []
    for artifact, saliency in pairs(options.artifacts, options.only):
        session = open_session(artifact, options.threads)
        predictor = Predictor(session, open_saliency(saliency, options.threads))
        rows.append(measure(records, predictor, artifact.name, options.seed))
    print(as_markdown(rows))
    if options.output:
        options.output.write_text(json.dumps([row.__dict__ for row in rows], indent=2) + "\n")


def as_markdown(rows: list[Row]) -> str:
    """Mean IoU in points."""
    of_clicks = ("`--auto`", "its 5 clicks", "its first", "its first 3")
    others = ("blob alone", "threshold alone", "1 random click", "3 random clicks")
    differences = ("`--auto` minus blob", "minus its 5 clicks")
    names = ("artifact", *differences, *of_clicks, *others)
    lines = [f"| {' | '.join(names)} |", f"|---{'|---:' * (len(names) - 1)}|"]
    for row in rows:
        values = list(row.__dict__.values())[4:]
        intervals = (row.auto_minus_blob, row.auto_minus_clicks)
        cells = [
            f"`{row.artifact}`",
            *("{:+.1f} [{:+.1f}, {:+.1f}]".format(*(100 * v for v in each)) for each in intervals),
            *(f"{100 * value:.1f}" for value in values),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


@dataclass(frozen=True)
class Case:
    """One photo's automatic start; `iou` is that with the object it fits best."""

    record: ImageRecord
    image: NDArray[np.uint8]
    saliency: NDArray[np.float32]
    clicks: SaliencyClicks
    mask: NDArray[np.bool_]
    iou: float


def cases(predictor: Predictor) -> list[Case]:
    """All bundled sample photos, best first."""
    found = [_case(record, predictor) for record in track(list(bundled_dataset("sample")))]
    return sorted(found, key=lambda case: -case.iou)


def _case(record: ImageRecord, predictor: Predictor) -> Case:
    image = load_image(record)
    predictor.set_image(image)
    mask = predictor.predict_auto(multimask_output=False).masks[0]
    iou = max(mask_iou(mask, item.mask()) for item in record.objects)
    return Case(record, image, predictor.auto_saliency_map(), predictor.auto_clicks(), mask, iou)


def figures(options: argparse.Namespace) -> None:
    """Writes saliency-start.png and saliency-cases.png."""
    import matplotlib

    matplotlib.use("agg")
    predictor = Predictor(open_session(options.artifact, options.threads))
    ordered = cases(predictor)
    chosen = [case for case in ordered if case.record.id == options.photo] or ordered
    draw_start(chosen[0], options.directory / "saliency-start.png")
    shown = [*ordered[:SHEET_PHOTOS], *ordered[-SHEET_PHOTOS:]]
    draw_sheet(shown, options.directory / "saliency-cases.png")
    for case in shown:
        print(f"{case.record.path.name}: IoU {case.iou:.2f}")


def draw_start(case: Case, path: Path) -> None:
    """Saliency map, blob, clicks, mask, and the grid that SAM's automatic masks start from."""
    from matplotlib import pyplot

    height, width = case.image.shape[:2]
    extent = (-0.5, width - 0.5, height - 0.5, -0.5)
    figure, axes = pyplot.subplots(1, 5, figsize=(12.5, 2.5 * height / width + 0.35))
    titles = (
        "saliency map",
        "most salient blob",
        "five clicks and its box",
        "mask",
        f"SAM's {GRID_POINTS} x {GRID_POINTS} grid",
    )
    for panel, title in zip(axes, titles, strict=True):
        panel.imshow(case.image, interpolation="antialiased")
        panel.set_title(title, fontsize=9)
        panel.axis("off")
    axes[0].imshow(
        case.saliency, extent=extent, cmap="inferno", alpha=0.8, interpolation="bilinear"
    )
    axes[1].imshow(case.clicks.blob, extent=extent, cmap="gray", interpolation="nearest")
    clicks = case.clicks.scaled_to((height, width))
    axes[1].plot(*clicks.T, "o", color="#12833b", markeredgecolor="white", markersize=5)
    axes[2].plot(*clicks.T, "o", color="#12833b", markeredgecolor="white", markersize=6)
    x0, y0, x1, y1 = case.clicks.box_on((height, width))
    axes[2].plot([x0, x1, x1, x0, x0], [y0, y0, y1, y1, y0], color="white", linewidth=1.5)
    axes[3].imshow(overlay(case.image, case.mask))
    steps = (np.arange(GRID_POINTS) + 0.5) / GRID_POINTS
    grid = np.array(list(itertools.product(steps * width, steps * height)))
    axes[4].plot(*grid.T, ".", color="#ffd23f", markersize=1.5)
    figure.tight_layout(pad=0.3)
    _save(figure, path, 100)


def draw_sheet(shown: list[Case], path: Path) -> None:
    """Two rows a case group: saliency with clicks above the mask, best cases first."""
    from matplotlib import pyplot

    columns = len(shown) // 2
    figure, axes = pyplot.subplots(4, columns, figsize=(12.5, 7.6))
    for index, case in enumerate(shown):
        row, column = 2 * (index // columns), index % columns
        height, width = case.image.shape[:2]
        above, below = axes[row, column], axes[row + 1, column]
        extent = (-0.5, width - 0.5, height - 0.5, -0.5)
        above.imshow(case.image)
        above.imshow(
            case.saliency, extent=extent, cmap="inferno", alpha=0.6, interpolation="bilinear"
        )
        clicks = case.clicks.scaled_to((height, width))
        above.plot(*clicks.T, "o", color="#12833b", markeredgecolor="white", markersize=4)
        below.imshow(overlay(case.image, case.mask))
        below.set_title(f"IoU {case.iou:.2f}", fontsize=8, pad=2)
        above.axis("off")
        below.axis("off")
    figure.tight_layout(pad=0.3)
    _save(figure, path, 80)


def _save(figure: "Figure", path: Path, dpi: int) -> None:
    """As a PNG of 256 colors: half the size, and no difference to the eye."""
    from matplotlib import pyplot
    from PIL import Image

    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=dpi, format="png")
    pyplot.close(figure)
    with Image.open(buffer) as picture:
        picture.convert("RGB").quantize(256, dither=Image.Dither.FLOYDSTEINBERG).save(
            path, optimize=True
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(required=True)
    wanted = commands.add_parser("table")
    wanted.add_argument("dataset", type=Path)
    wanted.add_argument("artifacts", type=Path, help="directory that sqsam-export wrote")
    wanted.add_argument("--images", default="", help="only images whose id starts with this")
    wanted.add_argument("--only", nargs="*", default=[], help="only artifacts of these names")
    wanted.add_argument("--seed", type=int, default=0, help="of the random clicks")
    wanted.add_argument("--threads", type=int, default=1)
    wanted.add_argument("--output", type=Path, help="JSON file")
    wanted.set_defaults(run=table)
    drawn = commands.add_parser("figures")
    drawn.add_argument("directory", type=Path)
    drawn.add_argument("--artifact", type=Path, required=True)
    drawn.add_argument("--photo", default="", help="id of the sample photo of the first figure")
    drawn.add_argument("--threads", type=int, default=1)
    drawn.set_defaults(run=figures)
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()
