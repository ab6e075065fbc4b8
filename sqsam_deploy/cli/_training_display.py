"""How `sqsam-train` shows a run: one progress bar, plain lines where there is no terminal."""

import math
from collections.abc import Iterable

from rich.progress import BarColumn as Bar
from rich.progress import Progress, TimeRemainingColumn
from rich.table import Table

from sqsam_deploy._internal.progress import DescriptionColumn
from sqsam_deploy._internal.terminal import stderr, stdout
from sqsam_deploy.training.evaluate import ScoreTable
from sqsam_deploy.training.log import LogRow
from sqsam_deploy.training.prepared import PreparedData
from sqsam_deploy.training.readers import Item
from sqsam_deploy.training.session import Reports


class TrainingDisplay:
    """A context manager; `reports` goes to the run."""

    def __init__(self, samples: int, visible: bool) -> None:
        """Builds the display of a run.

        Args:
            samples: Samples of the whole run.
            visible: Only one of several processes shows anything.
        """
        self._console = stderr()
        self._console.quiet |= not visible
        columns = (DescriptionColumn(), Bar(), TimeRemainingColumn())
        self._progress = Progress(
            *columns, console=self._console, disable=not self._console.is_terminal
        )
        self._samples = samples
        self._scores = ""
        self.reports = Reports(self._prepare, self._show_prepared, self._show_row)

    def __enter__(self) -> "TrainingDisplay":
        self._progress.start()
        self._training = self._progress.add_task("starting", total=self._samples)
        return self

    def __exit__(self, *raised: object) -> None:
        self._progress.stop()

    def _prepare(self, items: list[Item]) -> Iterable[Item]:
        self._console.print(f"decoding {len(items)} images")
        return self._progress.track(items, description="decoding images")

    def _show_prepared(self, data: PreparedData) -> None:
        objects = sum(len(image.nested) for image in data.images)
        self._console.print(f"{len(data)} images with {objects} objects in {data.folder}")
        if data.skipped:
            self._console.print(
                f"{data.skipped} unusable files or objects were skipped: "
                f"{data.folder / 'skipped.txt'}"
            )

    def _show_row(self, row: LogRow) -> None:
        measured = {
            name: value
            for name, value in row.values.items()
            if name.startswith("val_") and not math.isnan(value)
        }
        if measured:
            self._scores = "".join(
                f"  {name.removeprefix('val_')} {value:.3f}" for name, value in measured.items()
            )
        text = f"{row.samples} samples"
        if row.step:  # before the first step there are scores alone
            text += f"  loss {row.values['loss']:.3f}"
        text += self._scores
        if row.step:
            text += f"  {row.images_per_second:.1f} images/s"
        self._progress.update(self._training, completed=row.samples, description=text)
        if not self._console.is_terminal:
            self._console.print(f"{row.minutes:.1f} min  {text}", soft_wrap=True)

    def show_scores(self, scores: ScoreTable) -> None:
        """Prints scores as a table on standard output."""
        names = list(next(iter(scores.values())))
        table = Table("", *names)
        for row, values in scores.items():
            numbers = (values[name] for name in names)
            table.add_row(row, *(f"{n:.3f}" if isinstance(n, float) else str(n) for n in numbers))
        stdout().print(table)
