"""`sqsam-bench`: measure artifacts, compare two runs, take in a phone's, write the tables."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from sqsam_deploy.cli._app import run_app, show_version
from sqsam_deploy.errors import UsageError

if TYPE_CHECKING:
    from sqsam_deploy.benchmark.measure import Plan
    from sqsam_deploy.benchmark.result import BenchmarkResult
    from sqsam_deploy.benchmark.tables import Table

_RUN = "run"
#: Columns of a table that is not shown on a terminal.
_LOG_WIDTH = 160
Output = Annotated[
    Path, typer.Option("--output", "-o", help="Directory that the result file is put in.")
]
_RESULTS = Path("benchmarks/results")


class _RunByDefault(TyperGroup):
    """`sqsam-bench DIR` is `sqsam-bench run DIR`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ("--help", "--version"):
            args = [_RUN, *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_RunByDefault,
    add_completion=False,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
)


@app.callback()
def bench(
    version: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True)
    ] = False,
) -> None:
    """Latency, memory, load time and size of artifacts, with intervals.

    `sqsam-bench DIR` measures what a directory of `sqsam-export` holds on this machine.

    Exit codes: 0 done or passed, 1 a regression, 2 wrong usage, 3 could not be measured or is too
    noisy to say.
    """


@app.command(_RUN)
def measure_artifacts(
    directories: Annotated[
        list[Path], typer.Argument(help="Directories with a manifest.json from sqsam-export.")
    ],
    threads: Annotated[
        str | None,
        typer.Option(help="Thread counts, joined by commas; without it 1, 2, 4 … up to all cores."),
    ] = None,
    rounds: Annotated[
        int, typer.Option(min=3, help="Turns of every artifact: more narrow the intervals.")
    ] = 12,
    processes: Annotated[
        int, typer.Option(min=1, help="Fresh processes that load times come from.")
    ] = 3,
    torch: Annotated[
        bool, typer.Option(help="Also measure torch on the CPU, with random weights.")
    ] = True,
    peak: Annotated[bool, typer.Option(help="Also measure this processor's peak.")] = True,
    profile: Annotated[bool, typer.Option(help="Also profile by operator.")] = True,
    peers: Annotated[
        Path | None,
        typer.Option(help="Directory of other networks, written by benchmarks/peers/build.py."),
    ] = None,
    output: Output = _RESULTS,
) -> None:
    """Measure every artifact of one or more directories on this machine (the default)."""
    from sqsam_deploy.benchmark.suite import Suite, run_suite

    suite = Suite(
        directories=tuple(directories),
        plan=_plan(threads, rounds, processes, profiled=10 if profile else 0),
        torch=torch,
        peak=peak,
        peers=peers,
    )
    _keep(run_suite(suite), output)


def _plan(threads: str | None, rounds: int, processes: int, profiled: int) -> "Plan":
    from sqsam_deploy.benchmark.environment import usable_cores
    from sqsam_deploy.benchmark.measure import Plan

    counts = _powers(usable_cores()) if threads is None else _counts(threads, usable_cores())
    return Plan(threads=counts, rounds=rounds, processes=processes, profiled=profiled)


def _powers(cores: int) -> tuple[int, ...]:
    """1, 2, 4 … and all cores."""
    below = [1 << power for power in range(cores.bit_length()) if 1 << power < cores]
    return (*below, cores)


def _counts(text: str, cores: int) -> tuple[int, ...]:
    try:
        counts = tuple(int(part) for part in text.split(","))
    except ValueError:
        counts = ()
    if not counts or min(counts) < 1 or max(counts) > cores or len(set(counts)) < len(counts):
        raise UsageError(
            f"--threads takes different numbers from 1 to {cores} joined by commas, got '{text}'"
        )
    return counts


@app.command("cuda")
def measure_gpu(
    preset: Annotated[str, typer.Option(help="The network; its weights are random.")] = "paper",
    modes: Annotated[str, typer.Option(help="Of eager, compiled, cuda-graph.")] = (
        "eager,compiled,cuda-graph"
    ),
    precisions: Annotated[str, typer.Option(help="Of fp32, tf32, fp16, bf16.")] = (
        "fp32,tf32,fp16,bf16"
    ),
    batches: Annotated[str, typer.Option(help="Images in one inference.")] = "1,8,64",
    onnx: Annotated[
        Path | None,
        typer.Option(help="Float ONNX artifact for ONNX Runtime's CUDA and TensorRT providers."),
    ] = None,
    rounds: Annotated[int, typer.Option(min=3, help="Turns of every case.")] = 10,
    output: Output = _RESULTS,
) -> None:
    """Measure a preset on this machine's CUDA GPU, in torch and in ONNX Runtime."""
    from sqsam_deploy.benchmark.cuda.grid import cases

    if not batches.replace(",", "").isdigit():
        raise UsageError(f"--batches takes whole numbers joined by commas, got '{batches}'")
    sizes = [int(part) for part in batches.split(",") if part]
    chosen = cases(modes.split(","), precisions.split(","), sizes)
    from sqsam_deploy._internal.progress import shown_steps
    from sqsam_deploy.benchmark.cuda.run import CudaPlan, measure_cuda, require_gpu
    from sqsam_deploy.model.config import preset as known_preset

    plan = CudaPlan(known_preset(preset).name, chosen, onnx, rounds)
    device = require_gpu()
    with shown_steps(3 + len(chosen) + rounds * len(set(sizes))) as steps:
        result = measure_cuda(plan, device, steps)
    _keep(result, output)


@app.command()
def compare(
    before: Annotated[Path, typer.Argument(help="Result file of the earlier run.")],
    after: Annotated[Path, typer.Argument(help="Result file of the later run.")],
    max_regression: Annotated[
        str | None,
        typer.Option(
            metavar="PERCENT",
            help="Make it a gate: 1 if any row is surely slower by more (5%), 3 if that cannot "
            "be told, else 0.",
        ),
    ] = None,
) -> None:
    """Compare two runs on one device, row by row, with intervals."""
    limit = None if max_regression is None else _percent(max_regression)
    from sqsam_deploy.benchmark.compare import compare as compare_results
    from sqsam_deploy.benchmark.compare import overall
    from sqsam_deploy.benchmark.comparison import comparison_table, refusal
    from sqsam_deploy.benchmark.resultfile import read_result

    rows = compare_results(read_result(before), read_result(after))
    _print(comparison_table(rows, limit))
    if limit is None:
        return
    verdict = overall(rows, limit)
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


@app.command("import")
def import_result(
    file: Annotated[Path, typer.Argument(help="Result file that an iPhone wrote.")],
    artifacts: Annotated[
        list[Path],
        typer.Option(help="Directory of the artifacts that were measured; may be repeated."),
    ],
    output: Output = _RESULTS,
) -> None:
    """Check an iPhone's result file against the artifacts' manifests and add it."""
    from sqsam_deploy.artifact.manifest import read_manifest
    from sqsam_deploy.benchmark.phone import check_phone_result
    from sqsam_deploy.benchmark.resultfile import read_result

    manifests = [read_manifest(directory) for directory in artifacts]
    _keep(check_phone_result(read_result(file), manifests), output)


@app.command("ios")
def measure_phone(
    directories: Annotated[
        list[Path], typer.Argument(help="Directories with a manifest.json from sqsam-export.")
    ],
    device: Annotated[
        str | None,
        typer.Option(metavar="NAME|UDID", help="The iPhone, where several are connected."),
    ] = None,
    team: Annotated[
        str | None, typer.Option(help="Identifier of the Apple developer team that signs the app.")
    ] = None,
    rounds: Annotated[
        int, typer.Option(min=10, help="Turns of every artifact: more narrow the intervals.")
    ] = 12,
    harness: Annotated[
        Path | None,
        typer.Option(help="The folder ios_harness of a checkout; without it the package's own."),
    ] = None,
    output: Output = _RESULTS,
) -> None:
    """Measure on an iPhone that is connected to this Mac: build, install, run, fetch, check."""
    from sqsam_deploy.benchmark.ios.xcode import choose_phone, list_phones, require_xcode

    require_xcode()
    phone = choose_phone(list_phones(), device)
    from sqsam_deploy.benchmark.ios.session import PhoneRun, measure_on_phone

    _keep(measure_on_phone(PhoneRun(directories, team, harness, rounds), phone), output)


@app.command()
def readme(
    results: Annotated[Path, typer.Option(help="Directory of result files.")] = _RESULTS,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The file; plots go beside it.")
    ] = Path("benchmarks/README.md"),
) -> None:
    """Write the tables and plots of all result files as Markdown."""
    from sqsam_deploy.benchmark.readme import write_readme

    typer.echo(str(write_readme(results, output)))


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
    typer.echo(str(path))


def _print(table: "Table") -> None:
    from rich.console import Console
    from rich.table import Table as RichTable

    shown = RichTable(title=table.title, title_justify="left")
    for index, column in enumerate(table.columns):
        shown.add_column(column, justify="left" if index < table.left else "right")
    for row in table.rows:
        shown.add_row(*row)
    # A log has no width of its own, and these tables need more than the 80 columns of a guess.
    console = Console() if sys.stdout.isatty() else Console(width=_LOG_WIDTH)
    console.print(shown)
    for note in table.notes:
        console.print(note, markup=False, highlight=False)


def main() -> None:
    """Entry point of `sqsam-bench`."""
    run_app(app)
