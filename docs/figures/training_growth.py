"""Draws `training-growth.svg` from the logs of the bundled weights.

Usage: python docs/figures/training_growth.py
"""

from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from sqsam_deploy.benchmark.plots import save_svg, style
from sqsam_deploy.training.log import LogRow, read_rows

LOGS = Path(__file__).parents[1] / "training-logs"
OUTPUT = Path(__file__).with_name("training-growth.svg")
STAGES = {"nano": "nano, 256²", "paper-512": "widened, 512²", "paper": "deepened, 1024²"}
#: Scores of the finished weights, which their files hold and the logs do not.
FINISHED = {"nano": (0.7916, 0.6480, 0.5182), "paper": (0.7974, 0.6391, 0.5255)}
SCORES = {"val_miou_box": "box", "val_miou_3_clicks": "3 clicks", "val_miou_1_click": "1 click"}


def main() -> None:
    """Writes the figure."""
    with style():
        _draw()


def _draw() -> None:
    # As wide as a text's column on a phone can show it: a row for each stage.
    figure, axes = plt.subplots(
        3, 2, figsize=(4.8, 7), layout="constrained", sharex="row", sharey="col"
    )
    for (left, right), (name, title) in zip(axes, STAGES.items(), strict=True):
        rows = read_rows(LOGS / f"{name}.csv")
        left.set_title(f"{title}: {rows[-1].minutes:.0f} minutes", fontsize=10, loc="left")
        _losses(left, rows)
        _scores(right, rows, FINISHED.get(name))
    axes[0, 0].set_ylabel("mask loss, best of four", loc="top")
    axes[0, 1].set_ylabel("validation mIoU", loc="top")
    figure.supxlabel("thousand samples", fontsize=10)
    lines = axes[0, 1].get_lines()
    figure.legend(handles=lines, loc="outside upper right", ncols=len(lines), frameon=False)
    save_svg(figure, OUTPUT)


def _losses(axis: Axes, rows: list[LogRow]) -> None:
    thousands = [row.samples / 1000 for row in rows]
    axis.plot(thousands, [row.values["mask_loss"] for row in rows], linewidth=1)
    axis.grid(alpha=0.3)


def _scores(axis: Axes, rows: list[LogRow], finished: tuple[float, ...] | None) -> None:
    measured = [row for row in rows if row.values["val_miou_box"] == row.values["val_miou_box"]]
    for number, (name, label) in enumerate(SCORES.items()):
        points = [(row.samples / 1000, row.values[name]) for row in measured]
        if finished:
            points.append((rows[-1].samples / 1000, finished[number]))
        axis.plot(*zip(*points, strict=True), marker=".", label=label)
    axis.set_ylim(0.3, 0.85)
    axis.grid(alpha=0.3)


if __name__ == "__main__":
    main()
