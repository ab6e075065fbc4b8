"""`sqsam-parity`: was quality lost, how much, how sure is that, and where."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from sqsam_deploy._internal.requests import POSITIVE
from sqsam_deploy._internal.terminal import PlainConsole, note, stderr, stdout
from sqsam_deploy.cli._app import loading, make_app, run
from sqsam_deploy.cli._output import answer
from sqsam_deploy.evaluation.request import ParityRequest

if TYPE_CHECKING:
    from sqsam_deploy.evaluation.parity import ParityOutcome, Stage

#: Exit codes by outcome.
EXIT_CODES = {"passed": 0, "failed": 1, "undecided": 3}

app = make_app("sqsam-parity", "[OPTIONS] [DIR] | COMMAND")


@app.default
def parity(request: Annotated[ParityRequest | None, Parameter(name="*")] = None) -> int:
    """Compare float and quantized artifacts on the same objects, or score each by itself.

    Writes parity.json, parity.html, parity.md, parity-junit.xml and parity-objects.csv, and adds
    to $GITHUB_STEP_SUMMARY when it is set. A run that was interrupted continues where it stopped.

    Exit codes: 0 scored, or no artifact lost more than --max-drift and all agree with the float
    artifact, 1 an artifact did not pass, 2 wrong usage, 3 undecided (there are too few objects to
    tell) or something could not be read or run.
    """
    # Without any argument the request itself says what it needs.
    request = request or ParityRequest()
    with loading():
        from sqsam_deploy.report.parity import evaluate
        from sqsam_deploy.report.parity_text import append_step_summary, print_report

    with _shown(stderr()) as stage:
        outcome = evaluate(request, stage)
    _print_run(outcome)
    print_report(outcome.report, stdout())
    answer({"report": outcome.report, "files": outcome.files})
    append_step_summary(outcome.report)
    return 0 if request.score else EXIT_CODES[outcome.report.outcome]


@app.command(name="saliency", usage="Usage: sqsam-parity saliency DIR [OPTIONS]")
def score_maps(
    dataset: Annotated[Path, Parameter(metavar="DIR")],
    /,
    *,
    masks: Annotated[Path | None, Parameter(metavar="DIR")] = None,
    saliency: Annotated[tuple[Path, ...], Parameter(metavar="FILE|DIR")] = (),
    count: Annotated[int | None, POSITIVE] = None,
    seed: int = 0,
) -> None:
    """Score saliency maps on a set of photos with masks, by the measures of the field.

    Takes ECSSD, DUTS, DUT-OMRON, PASCAL-S, SOD and their kind: photos as JPEG, a PNG of the same
    stem for each, in folders of any name; or a folder with an index.json.

    Exit codes: 0 scored, 2 wrong usage, 3 something could not be read or run.

    Args:
        dataset: Folder with the photos and their masks.
        masks: Folder of the masks, where they are not PNG files beside JPEG photos.
        saliency: Network to score (an artifact, or any ONNX file), or a folder of maps, one file
            STEM.png for each photo. May be given several times. Without it, the bundled network.
        count: Number of photos, drawn with the seed. Without it, all.
        seed: Seed of the drawn photos.
    """
    with loading():
        from sqsam_deploy.evaluation.saliency_sets import open_saliency_set, score_saliency
        from sqsam_deploy.report.parity_tables import saliency_table
        from sqsam_deploy.report.parity_text import print_table

    data = open_saliency_set(dataset, masks, count, seed)
    sources = saliency or (Path("saliency"),)
    with _shown(stderr()) as stage:
        found = score_saliency(data, sources, stage("scoring", data.size))
    print_table(saliency_table(data.name, sources, found), stdout())
    rows = [
        {"maps": f"{source}", **asdict(row)} for source, row in zip(sources, found, strict=True)
    ]
    answer({"dataset": data.name, "scores": rows})


def _print_run(outcome: "ParityOutcome") -> None:
    if outcome.run.resumed:
        note(f"{outcome.run.resumed} images were evaluated by an interrupted run")
    if share := outcome.run.runtime_share:
        note(f"{share:.0%} of the evaluation was spent inside the runtimes")
    note(f"report in {outcome.files[-1].parent}")


@contextmanager
def _shown(console: PlainConsole) -> Iterator["Stage"]:
    """A bar on a terminal, a line every tenth in a log."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress
    from rich.progress import TimeRemainingColumn as Remaining

    from sqsam_deploy._internal.progress import DescriptionColumn

    if not console.is_terminal:
        yield lambda what, total: _Lines(console, what, total)
        return
    columns = (DescriptionColumn(), BarColumn(), MofNCompleteColumn(), Remaining())
    with Progress(*columns, console=console, transient=True) as progress:

        def stage(what: str, total: int) -> Callable[[int], None]:
            task = progress.add_task(what, total=total or None)
            return lambda done: progress.update(task, completed=done)

        yield stage


class _Lines:
    """A line at the start and after each tenth of the images."""

    def __init__(self, console: PlainConsole, what: str, total: int) -> None:
        self._console, self._what, self._total, self._tenth = console, what, total, 0
        console.print(what if not total else f"{what} {total} images")

    def __call__(self, done: int) -> None:
        tenth = 10 * done // self._total
        if tenth > self._tenth:
            self._tenth = tenth
            self._console.print(f"{self._what}: {done} of {self._total} images")


def main() -> None:
    """Entry point."""
    run(app)
