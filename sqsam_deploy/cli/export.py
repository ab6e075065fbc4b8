"""`sqsam-export`: trained weights to executed artifacts."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sqsam_deploy.cli._app import run, show_version
from sqsam_deploy.errors import GateError, UsageError

if TYPE_CHECKING:
    from sqsam_deploy.artifact.metadata import Precision
    from sqsam_deploy.pipeline.targets import Target

#: Options that a recipe, and the manifest of an earlier export, answer by themselves.
_WHAT_TO_BUILD = ("int8", "fp16", "fp32", "every", "runtime", "no_saliency")


def _list_recipes(value: bool) -> None:
    """Callback of `--list-recipes`."""
    if value:
        from sqsam_deploy.cli._export_tables import show_recipes
        from sqsam_deploy.recipes import bundled_recipes

        show_recipes(bundled_recipes())
        raise typer.Exit


def export(
    context: typer.Context,
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            metavar="paper|nano|FILE",
            help="Bundled weights by name, or a .safetensors or .pt file.",
            show_default="paper",
        ),
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
    recipe: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FILE",
            help="Build what a recipe says, by name (--list-recipes) or a .toml file of your own.",
        ),
    ] = None,
    list_recipes: Annotated[
        bool,
        typer.Option(
            "--list-recipes",
            callback=_list_recipes,
            is_eager=True,
            help="Show the recipes that come with the package.",
        ),
    ] = False,
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
    check_reproducible: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Build the export in DIR again, from the weights and photos that its manifest "
            "names, and compare every byte.",
        ),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True)
    ] = False,
) -> None:
    """Turn trained SqueezeSAM weights into artifacts for mobile runtimes.

    Every artifact is loaded again from disk, run on real photos and compared with the float
    network; the output directory appears only when all of them agree.

    Exit codes: 0 written (or built again to the same bytes), 1 an artifact disagrees with the
    float network (or with the one built again), 2 wrong usage, 3 something could not be read, run
    or written.
    """
    if check_reproducible is not None:
        others = (*_WHAT_TO_BUILD, "recipe", "calibration_size", "seed", "output")
        _refuse_given(context, others, "--check-reproducible builds what the manifest in DIR says")
        _check_reproducible(check_reproducible, checkpoint, calibration)
        return
    if recipe is None:
        targets = _targets(runtime or [], int8=int8, fp16=fp16, fp32=fp32, every=every)
        saliency, recipe_name = not no_saliency, None
    else:
        _refuse_given(context, _WHAT_TO_BUILD, "--recipe says what to build")
        from sqsam_deploy.recipes import find_recipe

        found = find_recipe(recipe)
        targets, saliency, recipe_name = found.targets, found.with_saliency, found.name
    _quiet_libraries()
    from sqsam_deploy._internal.progress import shown_steps
    from sqsam_deploy.checkpoint.bundled import DEFAULT
    from sqsam_deploy.cli._export_tables import show_artifacts
    from sqsam_deploy.pipeline.export import ExportRequest, step_count
    from sqsam_deploy.pipeline.export import export as run_export

    request = ExportRequest(
        targets,
        output,
        checkpoint or DEFAULT,
        calibration,
        calibration_size,
        seed,
        with_saliency=saliency,
        recipe=recipe_name,
    )
    with shown_steps(step_count(request)) as steps:
        manifest = run_export(request, steps)
    show_artifacts(manifest, output)


def _refuse_given(context: typer.Context, names: Sequence[str], reason: str) -> None:
    """Refuses options that somebody typed although another one answers them."""
    options = {parameter.name: parameter.opts[0] for parameter in context.command.params}
    typed = [options[name] for name in names if _is_typed(context, name)]
    if typed:
        raise UsageError(f"{reason}: leave out {' and '.join(typed)}")


def _is_typed(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name != "DEFAULT"


def _check_reproducible(directory: Path, checkpoint: Path | None, calibration: Path | None) -> None:
    _quiet_libraries()
    from sqsam_deploy.cli._export_tables import described_changes, show_comparison
    from sqsam_deploy.pipeline.rebuild import RebuildSource
    from sqsam_deploy.pipeline.reproducibility import check_reproducible

    result = check_reproducible(directory, RebuildSource(checkpoint, calibration))
    show_comparison(result)
    changes = described_changes(result.tool_changes)
    if not result.same:
        count = sum(not file.same for file in result.files)
        where = f"; {changes}" if changes else ""
        raise GateError(
            f"{directory} is not what was built again: {count} of {len(result.files)} files "
            f"differ{where}"
        )
    print(f"Reproduced: all {len(result.files)} files of {directory}, byte for byte.")
    if changes:
        print(f"Although {changes}.")


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
    import os
    import warnings

    # Torch reads it when it is loaded: its threads then sleep while they wait for each other,
    # instead of taking the core of an artifact that is built beside.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    logging.disable(logging.WARNING)
    warnings.filterwarnings("ignore")


def main() -> None:
    """Entry point of `sqsam-export`."""
    run(export)
