"""The log of a run: one CSV file, and its curve as a picture."""

import csv
import math
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from sqsam_deploy.errors import DataError


@dataclass(frozen=True)
class LogRow:
    """The state of a run at one step; what was not measured there is NaN.

    Attributes:
        step: Optimizer steps done.
        samples: Samples seen.
        minutes: Time trained.
        learning_rate: Of the last step.
        loss: Total loss, mean since the last row.
        mask_loss: Focal and dice loss of the best masks, likewise.
        iou_loss: Squared error of the predicted IoU, likewise.
        best_iou: IoU of the best mask on training samples, likewise.
        images_per_second: Samples a second since the last row.
        val_miou_1_click: Validation mIoU with one click.
        val_miou_3_clicks: With three clicks.
        val_miou_box: With a box.
    """

    step: int
    samples: int
    minutes: float
    learning_rate: float
    loss: float
    mask_loss: float
    iou_loss: float
    best_iou: float
    images_per_second: float
    val_miou_1_click: float = math.nan
    val_miou_3_clicks: float = math.nan
    val_miou_box: float = math.nan


COLUMNS = tuple(column.name for column in fields(LogRow))


def append_row(path: Path, row: LogRow) -> None:
    """Adds one line, and the header if the file is new."""
    new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        if new:
            writer.writeheader()
        writer.writerow({k: _text(v) for k, v in asdict(row).items()})


def _text(value: float) -> str:
    if isinstance(value, int):
        return str(value)
    return "" if math.isnan(value) else f"{value:.6g}"


def read_rows(path: Path) -> list[LogRow]:
    """Reads a log.

    Raises:
        DataError: The file is no such log.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return [_row(line) for line in csv.DictReader(file)]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} is not the log of a training run: {error}") from error


def _row(line: dict[str, str]) -> LogRow:
    numbers = {name: float(line[name] or "nan") for name in COLUMNS}
    step, samples = int(numbers.pop("step")), int(numbers.pop("samples"))
    return LogRow(step, samples, **numbers)


def drop_rows_after(path: Path, step: int) -> None:
    """Removes what a killed run had logged behind the state it resumes from."""
    if not path.exists():
        return
    rows = read_rows(path)
    path.unlink()
    for row in rows:
        if row.step <= step:
            append_row(path, row)


def plot(rows: list[LogRow], path: Path) -> None:
    """Loss and validation mIoU over the samples, as a PNG or SVG."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
    samples = [row.samples / 1000 for row in rows]
    left.plot(samples, [row.loss for row in rows], linewidth=1)
    left.set(xlabel="thousand samples", ylabel="training loss")
    validated = [row for row in rows if not math.isnan(row.val_miou_box)]
    places = [row.samples / 1000 for row in validated]
    for name, label in (
        ("val_miou_box", "box"),
        ("val_miou_3_clicks", "3 clicks"),
        ("val_miou_1_click", "1 click"),
    ):
        right.plot(places, [getattr(row, name) for row in validated], marker=".", label=label)
    right.set(xlabel="thousand samples", ylabel="validation mIoU")
    right.grid(alpha=0.3)
    right.legend()
    figure.savefig(path, dpi=110)
    plt.close(figure)
