"""`sqsam-export`: trained weights to executed artifacts."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sqsam_deploy.cli._app import run, show_version

if TYPE_CHECKING:
    from sqsam_deploy.pipeline.targets import Target
    from sqsam_deploy.release.manifest import Manifest
    from sqsam_deploy.runtimes.metadata import Precision


def export(
    checkpoint: Annotated[
        Path | None,
        typer.Option(help="Weights (.safetensors or .pt); without it the bundled reference."),
    ] = None,
    int8: Annotated[
        bool, typer.Option("--int8", help="Quantize to int8 after training (the default).")
    ] = False,
    fp16: Annotated[bool, typer.Option("--fp16", help="Half precision.")] = False,
    fp32: Annotated[bool, typer.Option("--fp32", help="Single precision.")] = False,
    every: Annotated[bool, typer.Option("--all", help="All three precisions.")] = False,
    runtime: Annotated[
        list[str] | None,
        typer.Option(
            help="executorch, coreml, onnx or executorch-coreml (a .pte with Core ML's delegate); "
            "may be repeated. Without it the first three.",
        ),
    ] = None,
    calibration: Annotated[
        Path | None,
        typer.Option(
            help="Image-and-mask folder or COCO instances JSON that int8 ranges are measured on; "
            "without it the bundled photos."
        ),
    ] = None,
    calibration_size: Annotated[
        int | None, typer.Option(min=1, help="Images of it to use; without it all.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the calibration prompts.")] = 0,
    no_saliency: Annotated[
        bool,
        typer.Option(
            "--no-saliency", help="Leave out the saliency network, which picks clicks for --auto."
        ),
    ] = False,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Directory to make or replace.")
    ] = Path("artifacts"),
    version: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True)
    ] = False,
) -> None:
    """Turn trained SqueezeSAM weights into artifacts for mobile runtimes.

    Every artifact is loaded again from disk, run on real photos and compared with the float
    network; the output directory appears only when all of them agree.

    Exit codes: 0 written, 1 an artifact disagrees with the float network, 2 wrong usage,
    3 something could not be read, run or written.
    """
    targets = _targets(runtime or [], int8=int8, fp16=fp16, fp32=fp32, every=every)
    _quiet_libraries()
    from sqsam_deploy.pipeline.export import ExportRequest, step_count
    from sqsam_deploy.pipeline.export import export as run_export
    from sqsam_deploy.pipeline.progress import shown_steps

    request = ExportRequest(
        targets,
        output,
        checkpoint,
        calibration,
        calibration_size,
        seed,
        with_saliency=not no_saliency,
    )
    with shown_steps(step_count(request)) as steps:
        manifest = run_export(request, steps)
    _show(manifest, output)


def _targets(
    runtimes: list[str], *, int8: bool, fp16: bool, fp32: bool, every: bool
) -> "tuple[Target, ...]":
    from sqsam_deploy.pipeline.targets import DEFAULT_RUNTIMES, parse_runtimes, targets_for

    chosen = parse_runtimes(runtimes) or DEFAULT_RUNTIMES
    flags: dict[Precision, bool] = {
        "fp32": fp32 or every,
        "fp16": fp16 or every,
        "int8": int8 or every,
    }
    wanted: list[Precision] = [precision for precision, asked in flags.items() if asked]
    return targets_for(chosen, wanted or ["int8"])


def _quiet_libraries() -> None:
    """Keeps the exporters' own chatter away from the progress; our errors say what matters."""
    import logging
    import warnings

    logging.disable(logging.WARNING)
    warnings.filterwarnings("ignore")


def _show(manifest: "Manifest", output: Path) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    console = Console()
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("artifact", overflow="fold")
    for heading in ("MB", "mask IoU", "logit difference"):
        table.add_column(heading, justify="right")
    for entry in manifest.artifacts:
        agreement = entry.agreement
        table.add_row(
            entry.path,
            f"{entry.bytes / 1e6:.2f}",
            f"{agreement.mean_mask_iou:.4f}",
            f"{agreement.max_logit_difference:.2g}",
        )
    console.print(table)
    executors = dict.fromkeys(entry.agreement.executor for entry in manifest.artifacts)
    probes = manifest.artifacts[0].agreement
    console.print(
        f"Mean mask IoU and largest logit difference against the float network on {probes.prompts} "
        f"prompts, executed by {'; '.join(executors)}.",
        highlight=False,
    )
    console.print(f"Written: {output}", highlight=False, soft_wrap=True)


def main() -> None:
    """Entry point of `sqsam-export`."""
    run(export)
