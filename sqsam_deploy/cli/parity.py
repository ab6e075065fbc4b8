"""`sqsam-parity`: was quality lost, how much, how sure is that, and where."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from sqsam_deploy._internal.requests import POSITIVE
from sqsam_deploy._internal.staging import require_writable
from sqsam_deploy._internal.terminal import PlainConsole, note, say, stderr, stdout
from sqsam_deploy.cli._app import loading, make_app, run
from sqsam_deploy.cli._output import answer
from sqsam_deploy.errors import UsageError
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


@app.command(name="outputs", usage="Usage: sqsam-parity outputs DIR [OPTIONS]")
def compare_machines(
    directory: Annotated[Path, Parameter(metavar="DIR")],
    /,
    *,
    emulate: Annotated[Path | None, Parameter(metavar="ROOT")] = None,
    save: Annotated[Path | None, Parameter(metavar="FILE")] = None,
    against: Annotated[Path | None, Parameter(metavar="FILE")] = None,
    only: Annotated[tuple[str, ...], Parameter(metavar="NAME")] = (),
    photos: Annotated[int, Parameter(validator=Number(gte=1, lte=63))] = 24,
    min_agreement: Annotated[float, Parameter(validator=Number(gte=0, lte=1))] = 0.99,
) -> int:
    """Compare the outputs of artifacts on two kinds of processor, mask by mask.

    The other one is arm64, emulated by QEMU, or another machine, where the same command was given
    with --save. Both run the same files on the same photos of the bundled sample, with a click, a
    box, both, and nothing.

    Exit codes: 0 saved, or every mask agrees at --min-agreement or more, 1 a mask does not, 2
    wrong usage, 3 something could not be read or run.

    Args:
        directory: Directory of the artifacts.
        emulate: Folder with the runtimes for arm64, made by benchmarks/arm64/root.sh.
        save: File to write the outputs of this machine to.
        against: File with the outputs of another machine.
        only: Name of an artifact to run. May be given several times. Without it, all that this
            machine can run, or all of which the file has outputs.
        photos: Number of photos, four prompts on each. With --against the file says it.
        min_agreement: Least IoU of two masks.
    """
    if (emulate and against) or not (emulate or save or against):
        raise UsageError("name one of --emulate ROOT and --against FILE, or --save FILE")
    if save is not None:
        require_writable(save.absolute().parent)
    with loading():
        from sqsam_deploy.evaluation import outputs as machines
        from sqsam_deploy.report.parity_tables import outputs_headline, outputs_table
        from sqsam_deploy.report.parity_text import print_table

    emulator = machines.open_emulator(emulate) if emulate else None
    there = machines.read_outputs(against) if against else None
    if there is not None:
        only, photos = only or tuple(there.artifacts), there.photos
    artifacts = machines.artifacts_that_run_here(directory, only)
    with _shown(stderr()) as stage:
        steps = len(artifacts) * photos
        step = stage("running", steps)
        here = machines.run_artifacts(artifacts, machines.opened_here, photos, step)
        if emulator:
            step = stage("emulating", steps)
            there = machines.run_artifacts(artifacts, emulator.opened, photos, step)
    if save:
        machines.write_outputs(here, save)
        answer({"files": [save]})
    if there is None:
        return 0
    found = machines.compare_outputs(here, there, min_agreement)
    print_table(outputs_table(found), stdout())
    say(outputs_headline(found, min_agreement))
    rows = [asdict(each) for each in found]
    answer({"photos": here.photos, "differences": rows})
    return int(any(each.disagreements for each in found))


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
