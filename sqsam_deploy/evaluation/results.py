"""Per-object results: one row for an artifact, an object and a prompt, kept as CSV."""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from sqsam_deploy._internal.atomic import atomic_write
from sqsam_deploy.errors import DataError


@dataclass(frozen=True, slots=True)
class ObjectResult:
    """How one artifact answered one prompt about one object.

    Attributes:
        artifact: Path relative to the evaluated directory.
        image: The image's id.
        object: The object's id.
        category: What it is.
        area: Pixels, from which COCO's size class follows.
        kind: Prompt kind: "box", "1-click", ...
        prompt: Digest of the prompt, so that two runs can be seen to have asked the same.
        truth: Digest of the photo and the object's mask, for the same purpose.
        iou: Of the mask with the highest predicted IoU, with the truth, at the image's size.
        same_mask_iou: The same of the mask that the reference ranks first.
        best_mask: Index of the mask with the highest predicted IoU.
        predicted_iou: What the artifact expected `iou` to be.
        agreement: IoU with the float reference, of the mask the reference ranks first, at the
            network's resolution; None for the reference itself.
        sibling_agreement: The same with the first artifact of equal precision; None for that one.
    """

    artifact: str
    image: str
    object: str
    category: str
    area: float
    kind: str
    prompt: str
    truth: str
    iou: float
    same_mask_iou: float
    best_mask: int
    predicted_iou: float
    agreement: float | None
    sibling_agreement: float | None


@dataclass(frozen=True, slots=True)
class ClickingResult:
    """One artifact's simulated clicking on one object: the IoU after each click."""

    artifact: str
    image: str
    object: str
    area: float
    ious: tuple[float, ...]


COLUMNS = tuple(field.name for field in fields(ObjectResult))


def write_results(path: Path, results: Iterable[ObjectResult]) -> None:
    """Writes CSV; floats with every digit, so that reading gives the same numbers."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for result in results:
        writer.writerow(asdict(result))
    atomic_write(path, text.getvalue().encode())


def read_results(path: Path) -> list[ObjectResult]:
    """Reads what `write_results` wrote.

    Raises:
        DataError: The file is missing or is not such a CSV.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            _require_columns(path, reader.fieldnames or ())
            return [_parse(row) for row in reader]
    except FileNotFoundError:
        raise DataError(f"results {path} do not exist") from None
    except (TypeError, ValueError) as error:
        raise DataError(f"{path} is not a per-object results file: {error}") from error


def _require_columns(path: Path, present: Sequence[str]) -> None:
    missing = [name for name in COLUMNS if name not in present]
    if missing:
        raise DataError(f"{path} is not a per-object results file: it has no column '{missing[0]}'")


def _parse(row: dict[str, str]) -> ObjectResult:
    return ObjectResult(
        artifact=row["artifact"],
        image=row["image"],
        object=row["object"],
        category=row["category"],
        area=float(row["area"]),
        kind=row["kind"],
        prompt=row["prompt"],
        truth=row["truth"],
        iou=float(row["iou"]),
        same_mask_iou=float(row["same_mask_iou"]),
        best_mask=int(row["best_mask"]),
        predicted_iou=float(row["predicted_iou"]),
        agreement=_optional(row["agreement"]),
        sibling_agreement=_optional(row["sibling_agreement"]),
    )


def _optional(text: str) -> float | None:
    return float(text) if text else None
