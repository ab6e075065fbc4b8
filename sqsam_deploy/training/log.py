"""The log of a run: one CSV file, and its curve as a picture."""

import csv
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sqsam_deploy.errors import DataError

#: Columns of every log; the others are the losses and scores of the task.
FIXED_COLUMNS = ("step", "samples", "minutes", "learning_rate", "images_per_second")


@dataclass(frozen=True)
class LogRow:
    """The state of a run at one step.

    Attributes:
        step: Optimizer steps done.
        samples: Samples seen.
        minutes: Time trained.
        learning_rate: Of the last step.
        images_per_second: Samples a second since the last row.
        values: Losses (mean since the last row) and scores on the validation photos; what was not
            measured at this step is NaN.
    """

    step: int
    samples: int
    minutes: float
    learning_rate: float
    images_per_second: float
    values: Mapping[str, float] = field(default_factory=dict)


def append_row(path: Path, row: LogRow) -> None:
    """Adds one line, and the header if the file is new."""
    new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        if new:
            writer.writerow([*FIXED_COLUMNS, *row.values])
        fixed = [getattr(row, name) for name in FIXED_COLUMNS]
        writer.writerow([_text(value) for value in [*fixed, *row.values.values()]])


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
    numbers = {name: float(value or "nan") for name, value in line.items()}
    step, samples, minutes, rate, speed = (numbers.pop(name) for name in FIXED_COLUMNS)
    return LogRow(int(step), int(samples), minutes, rate, speed, numbers)


def drop_rows_after(path: Path, step: int) -> None:
    """Removes what a killed run had logged behind the state it resumes from."""
    if not path.exists():
        return
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    # The line that was being written when the run was killed may be cut off.
    kept = [line for line in lines[1:] if line.endswith("\n") and _step(line) <= step]
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.write_text("".join(lines[:1] + kept), encoding="utf-8")
    temporary.replace(path)


def _step(line: str) -> int:
    return int(line.split(",", 1)[0])


def plot(rows: list[LogRow], path: Path) -> None:
    """Loss and validation scores over the samples, as a picture (PNG or SVG by its name)."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
    left.plot(*_series(rows, "loss"), linewidth=1)
    left.set(xlabel="thousand samples", ylabel="training loss")
    for name in rows[0].values:
        if name.startswith("val_"):
            right.plot(*_series(rows, name), marker=".", label=name.removeprefix("val_"))
    right.set(xlabel="thousand samples", ylabel="validation")
    right.grid(alpha=0.3)
    right.legend(loc="lower right")
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _series(rows: list[LogRow], name: str) -> tuple[list[float], list[float]]:
    points = [(row.samples / 1000, row.values[name]) for row in rows if name in row.values]
    known = [point for point in points if not math.isnan(point[1])]
    return [x for x, _ in known], [y for _, y in known]
