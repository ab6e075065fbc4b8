"""`sqsam-bench`: measure artifacts, compare two runs, import a phone's, write the tables."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from sqsam_deploy._internal.staging import require_writable
from sqsam_deploy._internal.terminal import say, stdout
from sqsam_deploy.benchmark.request import BenchRequest
from sqsam_deploy.cli._app import loading, make_app, run
from sqsam_deploy.cli._output import answer
from sqsam_deploy.errors import UsageError

if TYPE_CHECKING:
    from sqsam_deploy.benchmark.result import BenchmarkResult
    from sqsam_deploy.benchmark.tables import Table

Directories = Annotated[tuple[Path, ...], Parameter(metavar="DIR")]
Rounds = Annotated[int, Parameter(validator=Number(gte=3))]
PhoneRounds = Annotated[int, Parameter(validator=Number(gte=10))]
Harness = Annotated[Path | None, Parameter(metavar="DIR")]
Output = Annotated[Path | None, Parameter(alias="-o", metavar="DIR")]
Compared = Annotated[Path, Parameter(metavar="DIR|FILE")]
ResultFile = Annotated[Path, Parameter(metavar="FILE")]

app = make_app("sqsam-bench", "[OPTIONS] DIR... | COMMAND")


@app.default
@app.command(name="run", usage="Usage: sqsam-bench run DIR... [OPTIONS]")
def measure_artifacts(
    request: Annotated[BenchRequest, Parameter(name="*")], *, output: Output = None
) -> None:
    """Measure latency, memory, load time and size of artifacts on this machine, with intervals.

    Exit codes: 0 done or passed, 1 a regression, 2 wrong usage, 3 could not be measured, or is too
    noisy to tell.

    Args:
        output: Directory for the result file. Without it, the first of the artifacts.
    """
    folder = _results_folder(output, request.directories)
    with loading():
        from sqsam_deploy.benchmark.suite import run_suite

    _keep(run_suite(request), folder)


@app.command(name="cuda", usage="Usage: sqsam-bench cuda [OPTIONS]")
def measure_gpu(
    *,
    preset: str = "paper",
    modes: Annotated[str, Parameter(metavar="MODES")] = "eager,compiled,cuda-graph",
    precisions: Annotated[str, Parameter(metavar="PRECISIONS")] = "fp32,tf32,fp16,bf16",
    batches: Annotated[str, Parameter(metavar="N,N,...")] = "1,8,64",
    onnx: Annotated[Path | None, Parameter(metavar="FILE")] = None,
    rounds: Rounds = 10,
    output: Output = None,
) -> None:
    """Measure a preset on the CUDA GPU of this machine, in torch and in ONNX Runtime.

    Args:
        preset: Network to measure, with random weights.
        modes: Ways to run it, joined by commas: eager, compiled, cuda-graph.
        precisions: Precisions, joined by commas: fp32, tf32, fp16, bf16.
        batches: Numbers of images in one inference, joined by commas.
        onnx: Float ONNX artifact to run in ONNX Runtime with its CUDA and TensorRT providers.
        rounds: Number of turns that every case takes.
        output: Directory for the result file. Without it, the current one.
    """
    from sqsam_deploy.benchmark.cuda.grid import cases

    if not batches.replace(",", "").isdigit():
        raise UsageError(f"--batches takes whole numbers joined by commas, got '{batches}'")
    sizes = [int(part) for part in batches.split(",") if part]
    chosen = cases(modes.split(","), precisions.split(","), sizes)
    from sqsam_deploy._internal.progress import shown_steps
    from sqsam_deploy.benchmark.cuda.run import CudaPlan, measure_cuda, require_gpu
    from sqsam_deploy.model.config import preset as known_preset

    plan = CudaPlan(known_preset(preset).name, chosen, onnx, rounds)
    folder = _results_folder(output, (Path(),))
    device = require_gpu()
    with shown_steps(3 + len(chosen) + rounds * len(set(sizes))) as steps:
        result = measure_cuda(plan, device, steps)
    _keep(result, folder)


@app.command(usage="Usage: sqsam-bench compare DIR|FILE DIR|FILE [OPTIONS]")
def compare(
    before: Compared,
    after: Compared,
    /,
    *,
    max_regression: Annotated[str | None, Parameter(metavar="PERCENT")] = None,
    threads: Annotated[str | None, Parameter(metavar="N,N,...")] = None,
    rounds: Rounds = 16,
    processes: Annotated[int, Parameter(validator=Number(gte=3))] = 8,
) -> None:
    """Compare artifacts, or two earlier runs on one device, row by row, with intervals.

    The artifacts of two directories are measured now, in turns, and can decide a gate. Result
    files cannot: they only say what changed since.

    Args:
        before: Directory of the earlier artifacts, or result file of the earlier run.
        after: Directory of the later artifacts, or result file of the later run.
        max_regression: Make the comparison a gate, with a limit such as 5%. The exit code is 1 if
            any row is surely slower by more, and 3 if that cannot be told.
        threads: Numbers of threads, joined by commas, for directories.
        rounds: Number of turns that every artifact of a directory takes.
        processes: Number of processes that every artifact of a directory takes them in.
    """
    limit = None if max_regression is None else _percent(max_regression)
    from sqsam_deploy.benchmark.compare import compare as compare_results
    from sqsam_deploy.benchmark.compare import compare_interleaved, overall
    from sqsam_deploy.benchmark.comparison import comparison_table, refusal
    from sqsam_deploy.benchmark.resultfile import read_result

    if before.is_dir() != after.is_dir():
        raise UsageError("compare two directories of artifacts, or two result files")
    if before.is_dir():
        from sqsam_deploy.benchmark.suite import measure_pairs, measurement_plan

        sides = BenchRequest(
            (before, after), threads=threads, rounds=rounds, processes=processes, profile=False
        )
        plan = measurement_plan(sides)
        rows = compare_interleaved(*measure_pairs(before, after, plan))
    else:
        rows = compare_results(read_result(before), read_result(after))
    _print(comparison_table(rows, limit))
    verdict = None if limit is None else overall(rows, limit)
    answer({"verdict": verdict, "rows": rows})
    if limit is None or verdict is None:
        return
    error = refusal(verdict, rows, limit)
    if error is not None:
        raise error


def _percent(text: str) -> float:
    try:
        value = float(text.removesuffix("%")) / 100
    except ValueError:
        value = -1.0
    if not 0 <= value < 10:
        raise UsageError(f"--max-regression takes a percentage such as 5%, got '{text}'")
    return value


@app.command(name="import", usage="Usage: sqsam-bench import FILE --artifacts DIR [OPTIONS]")
def import_result(
    file: ResultFile,
    /,
    *,
    artifacts: Annotated[tuple[Path, ...], Parameter(metavar="DIR")],
    output: Output = None,
) -> None:
    """Check a phone's result file against the manifests of the artifacts, and keep it.

    Args:
        file: Result file that a phone wrote.
        artifacts: Directory of artifacts that were measured. May be given several times.
        output: Directory for the result file. Without it, the first of the artifacts.
    """
    from sqsam_deploy.artifact.manifest import read_manifest
    from sqsam_deploy.benchmark.phones.checks import check_phone_result
    from sqsam_deploy.benchmark.resultfile import read_result

    manifests = [read_manifest(directory) for directory in artifacts]
    _keep(check_phone_result(read_result(file), manifests), output or artifacts[0])


@app.command(name="ios", usage="Usage: sqsam-bench ios DIR... [OPTIONS]")
def measure_phone(
    directories: Directories,
    /,
    *,
    device: Annotated[str | None, Parameter(metavar="NAME|UDID")] = None,
    team: str | None = None,
    rounds: PhoneRounds = 12,
    harness: Harness = None,
    output: Output = None,
) -> None:
    """Measure on an iPhone that is connected to this Mac: build, install, run, fetch, check.

    Args:
        directories: Directories that sqsam-export wrote.
        device: The iPhone to use, where several are connected.
        team: Identifier of the Apple developer team that signs the app.
        rounds: Number of turns that every artifact takes. More turns narrow the intervals.
        harness: Folder with another version of the app than the one that the package carries.
        output: Directory for the result file. Without it, the first of the artifacts.
    """
    from sqsam_deploy.benchmark.phones.xcode import choose_phone, list_phones, require_xcode

    folder = _results_folder(output, directories)
    require_xcode()
    phone = choose_phone(list_phones(), device)
    from sqsam_deploy.benchmark.phones.ios import PhoneRun, measure_on_phone

    _keep(measure_on_phone(PhoneRun(directories, team, harness, rounds), phone), folder)


@app.command(name="android", usage="Usage: sqsam-bench android DIR... [OPTIONS]")
def measure_android(
    directories: Directories,
    /,
    *,
    device: Annotated[str | None, Parameter(metavar="SERIAL")] = None,
    apk: Annotated[Path | None, Parameter(metavar="FILE")] = None,
    rounds: PhoneRounds = 12,
    harness: Harness = None,
    output: Output = None,
) -> None:
    """Measure on an Android phone that is connected: build, install, run, fetch, check.

    Args:
        directories: Directories that sqsam-export wrote.
        device: Serial number of the phone to use, where several are connected.
        apk: The benchmark app, where it is built already. Without it, Gradle builds it.
        rounds: Number of turns that every artifact takes. More turns narrow the intervals.
        harness: Folder android_harness to build the app from. Without it, the checkout's own.
        output: Directory for the result file. Without it, the first of the artifacts.
    """
    from sqsam_deploy.benchmark.phones.android import AndroidRun, measure_on_android

    folder = _results_folder(output, directories)
    run = AndroidRun(directories, device, apk, harness, rounds)
    _keep(measure_on_android(run), folder)


@app.command(usage="Usage: sqsam-bench readme [OPTIONS]")
def readme(
    *,
    results: Annotated[Path, Parameter(metavar="DIR")] = Path("benchmarks/results"),
    output: Annotated[Path, Parameter(alias="-o", metavar="FILE")] = Path("benchmarks/README.md"),
    front: Annotated[Path | None, Parameter(metavar="FILE")] = None,
) -> None:
    """Write the tables and plots of all result files as Markdown.

    Args:
        results: Directory of result files.
        output: File to write. Plots are written beside it.
        front: Page whose table of networks, between two marks, is replaced too, such as README.md.
    """
    from sqsam_deploy.benchmark.readme import write_front_table, write_readme

    files = [write_readme(results, output)]
    if front is not None:
        files.append(write_front_table(results, front))
    for file in files:
        say(str(file))
    answer({"files": files})


def _results_folder(output: Path | None, directories: Sequence[Path]) -> Path:
    """Where the result file goes; that it can be written is known before anything is measured."""
    folder = output or directories[0]
    # What is no directory of artifacts is refused as such.
    if output is not None or folder.is_dir():
        require_writable(folder)
    return folder


def _keep(result: "BenchmarkResult", output: Path) -> None:
    """Shows a result and puts its file among the others."""
    from sqsam_deploy.benchmark.resultfile import result_name, write_result
    from sqsam_deploy.benchmark.tables import (
        latency_table,
        profile_tables,
        ratio_table,
        stage_table,
    )

    path = write_result(output / result_name(result), result)
    shown = (latency_table(result), stage_table(result), ratio_table(result))
    for table in (*shown, *profile_tables(result)):
        if table is not None:
            _print(table)
    say(str(path))
    answer({"file": path, "result": result})


def _print(table: "Table") -> None:
    from rich.table import Table as RichTable

    shown = RichTable(title=table.title, title_justify="left")
    for index, column in enumerate(table.columns):
        shown.add_column(column, justify="left" if index < table.left else "right")
    for row in table.rows:
        shown.add_row(*row)
    console = stdout()
    console.print(shown)
    for note in table.notes:
        console.print(note)


def main() -> None:
    """Entry point of `sqsam-bench`."""
    run(app)
