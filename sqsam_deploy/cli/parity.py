"""`sqsam-parity`: was quality lost, how much, how sure is that, and where."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sqsam_deploy.cli._app import run, show_version
from sqsam_deploy.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from sqsam_deploy.evaluation.parity import ParityOutcome, ParityRequest, Stage

#: Exit codes by outcome.
EXIT_CODES = {"passed": 0, "failed": 1, "undecided": 3}


def parity(
    directory: Annotated[
        Path,
        typer.Argument(metavar="DIR", help="Directory with artifacts.", show_default=False),
    ],
    dataset: Annotated[
        Path | None,
        typer.Option(
            help="COCO or LVIS JSON, or a folder with index.json.",
            show_default="the bundled sample, 281 objects",
        ),
    ] = None,
    images: Annotated[
        Path | None, typer.Option(help="Photos of a COCO or LVIS file that lie elsewhere.")
    ] = None,
    lvis: Annotated[
        Path | None,
        typer.Option(help="LVIS JSON whose masks replace the COCO masks they overlap by 80%."),
    ] = None,
    prompts: Annotated[
        str, typer.Option(help="Comma-separated: box, 1-click, 2-clicks, ... 6-clicks.")
    ] = "box,1-click,3-clicks",
    jitter: Annotated[
        float, typer.Option(min=0, help="Standard deviation of a click's error, in pixels.")
    ] = 0.0,
    detections: Annotated[
        Path | None, typer.Option(help="COCO results JSON: a detector's boxes as prompts, and AP.")
    ] = None,
    saliency_maps: Annotated[
        Path | None, typer.Option(help="Folder of saliency maps, one STEM.png an image.")
    ] = None,
    clicking: Annotated[
        bool, typer.Option("--clicking", help="Simulate clicking too: NoC@80, 85 and 90.")
    ] = False,
    max_drift: Annotated[
        float, typer.Option(help="Most mIoU points that may be lost.", show_default=True)
    ] = 1.0,
    min_agreement: Annotated[
        float,
        typer.Option(min=0, max=1, help="Least mean IoU of masks with the float artifact's."),
    ] = 0.95,
    baseline: Annotated[
        Path | None,
        typer.Option(help="Earlier parity-objects.csv, or its directory: gate against it too."),
    ] = None,
    reference: Annotated[
        Path | None,
        typer.Option(
            help="Float artifact or checkpoint to compare with.",
            show_default="an fp32 artifact of DIR",
        ),
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option(help="Artifact of DIR to evaluate; may be repeated.")
    ] = None,
    count: Annotated[
        int | None, typer.Option(min=1, help="Evaluate this many images, drawn by the seed.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the drawn images and points.")] = 0,
    jobs: Annotated[
        int | None,
        typer.Option(min=1, help="Processes; the result is the same.", show_default="all cores"),
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="Threads of each process.")] = 1,
    device: Annotated[
        str, typer.Option(help="Where torch runs checkpoints: cpu, cuda, cuda:1.")
    ] = "cpu",
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Where the report goes.", show_default="DIR"),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True)
    ] = False,
) -> None:
    """Compare float and quantized artifacts on the same objects with the same prompts.

    Writes parity.json, parity.html, parity.md, parity-junit.xml and parity-objects.csv, and adds
    to $GITHUB_STEP_SUMMARY when it is set. A run that was interrupted goes on where it stopped.

    Exit codes: 0 no artifact lost more than --max-drift and the masks of all agree with the float
    ones, 1 one did not pass, 2 wrong usage, 3 undecided (too few objects to tell) or something
    could not be read or run.
    """
    from sqsam_deploy.evaluation.parity import ParityRequest

    box, clicks = parse_prompts(prompts)
    request = ParityRequest(
        directory=directory,
        output=output or directory,
        dataset=dataset,
        images=images,
        lvis=lvis,
        only=tuple(only or ()),
        reference=reference,
        box=box,
        clicks=clicks,
        jitter=jitter,
        detections=detections,
        saliency_maps=saliency_maps,
        clicking=clicking,
        count=count,
        seed=seed,
        max_drift=max_drift,
        min_agreement=min_agreement,
        baseline=baseline,
        jobs=jobs or _usable_cores(),
        threads=threads,
        device=device,
    )
    raise typer.Exit(EXIT_CODES[_evaluate(request).report.outcome])


def parse_prompts(text: str) -> tuple[bool, tuple[int, ...]]:
    """Whether boxes are asked for, and which numbers of clicks.

    Raises:
        UsageError: A word is none of the kinds.
    """
    box, clicks = False, []
    for word in filter(None, (part.strip() for part in text.split(","))):
        number = word.split("-")[0]
        if word == "box":
            box = True
        elif word in (f"{number}-click", f"{number}-clicks") and number in "123456":
            clicks.append(int(number))
        else:
            raise UsageError(f"--prompts: '{word}' is not box, 1-click, 2-clicks, ... 6-clicks")
    return box, tuple(sorted(set(clicks)))


def _usable_cores() -> int:
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def _evaluate(request: "ParityRequest") -> "ParityOutcome":
    from rich.console import Console

    from sqsam_deploy.evaluation.parity import evaluate_parity
    from sqsam_deploy.evaluation.reports.markdown import append_step_summary
    from sqsam_deploy.evaluation.reports.text import print_report

    with _quiet_libraries(), _shown(Console(stderr=True)) as stage:
        outcome = evaluate_parity(request, stage)
    _print_run(outcome, Console(stderr=True))
    print_report(outcome.report, Console())
    append_step_summary(outcome.report)
    return outcome


@contextmanager
def _quiet_libraries() -> Iterator[None]:
    """What the runtimes' libraries miss or deprecate would bury the tables."""
    import logging

    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def _print_run(outcome: "ParityOutcome", console: "Console") -> None:
    if outcome.run.resumed:
        console.print(f"{outcome.run.resumed} images were done by an interrupted run")
    if share := outcome.run.runtime_share:
        console.print(f"{share:.0%} of the evaluation was spent inside the runtimes")
    console.print(f"report in {outcome.files[-1].parent}", soft_wrap=True, highlight=False)


@contextmanager
def _shown(console: "Console") -> Iterator["Stage"]:
    """A bar on a terminal, a line every tenth in a log."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as Remaining

    if not console.is_terminal:
        yield lambda what, total: _Lines(console, what, total)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), Remaining())
    with Progress(*columns, console=console, transient=True) as progress:

        def stage(what: str, total: int) -> Callable[[int], None]:
            task = progress.add_task(what, total=total or None)
            return lambda done: progress.update(task, completed=done)

        yield stage


class _Lines:
    """A line at the start and after each tenth of the images."""

    def __init__(self, console: "Console", what: str, total: int) -> None:
        self._console, self._what, self._total, self._tenth = console, what, total, 0
        console.print(what if not total else f"{what} {total} images", highlight=False)

    def __call__(self, done: int) -> None:
        tenth = 10 * done // self._total
        if tenth > self._tenth:
            self._tenth = tenth
            self._console.print(f"{self._what}: {done} of {self._total} images", highlight=False)


def main() -> None:
    """Entry point."""
    run(parity)
