"""`sqsam-export`: trained weights to executed artifacts."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import ArgumentCollection, Parameter

from sqsam_deploy._internal.terminal import say
from sqsam_deploy.cli._app import loading, make_app, run
from sqsam_deploy.cli._output import answer
from sqsam_deploy.errors import GateError, UsageError
from sqsam_deploy.pipeline.request import ExportRequest

if TYPE_CHECKING:
    from sqsam_deploy.runtimes.base import Runtime

#: Options that a recipe, and the manifest of an earlier export, answer by themselves.
_WHAT_TO_BUILD = (
    *("--int8", "--fp16", "--fp32", "--all", "--precision", "--runtime", "--no-saliency"),
)
_HOW_TO_BUILD = (
    *("--recipe", "--calibration-size", "--seed", "--output", "--dry-run"),
    *("--sensitivity", "--max-drift", "--dataset"),
)


def _refuse_answered(options: ArgumentCollection) -> None:
    """Refuses options that were given although another one answers them."""
    given = {name for option in options if option.tokens for name in option.names}
    if "--check-reproducible" in given:
        _refuse(given, _WHAT_TO_BUILD + _HOW_TO_BUILD, "--check-reproducible follows the manifest")
    elif "--recipe" in given:
        _refuse(given, _WHAT_TO_BUILD, "--recipe says what to build")
    if "--dataset" in given and not given & {"--sensitivity", "--max-drift"}:
        raise UsageError("--dataset is for --sensitivity and --max-drift: add one, or leave it out")


def _refuse(given: set[str], answered: tuple[str, ...], reason: str) -> None:
    if typed := [name for name in answered if name in given]:
        raise UsageError(f"{reason}: leave out {' and '.join(typed)}")


app = make_app("sqsam-export", "[OPTIONS]", validator=_refuse_answered)


@app.default
def export(
    *,
    request: Annotated[ExportRequest, Parameter(name="*")] = ExportRequest(),  # noqa: B008
    dry_run: bool = False,
    list_recipes: bool = False,
    list_runtimes: bool = False,
    check_reproducible: Annotated[Path | None, Parameter(metavar="DIR")] = None,
) -> None:
    """Turn trained SqueezeSAM weights into artifacts for mobile runtimes.

    Every artifact is loaded again from disk, run on real photos and compared with the float
    network. The output directory appears only when all of them agree.

    Exit codes: 0 written (or built again to the same bytes), 1 an artifact disagrees with the
    float network (or with the one built again), or nothing holds --max-drift, 2 wrong usage, 3
    something could not be read, run or written.

    Args:
        dry_run: Show what would be built, and about how large it would be; build nothing.
        list_recipes: Show the recipes that come with the package.
        list_runtimes: Show the runtimes there are, those of other installed packages included.
        check_reproducible: Build the export in this directory again, from the weights and photos
            that its manifest names, and compare every byte.
    """
    # Torch reads it when it is loaded: its threads then sleep while they wait for each other,
    # instead of taking the core of an artifact that is built beside.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if list_recipes:
        _list_recipes()
    elif list_runtimes:
        _list_runtimes()
    elif check_reproducible is not None:
        _check_reproducible(check_reproducible, request)
    elif dry_run:
        _plan(request)
    else:
        _export(request.resolved())


def _list_recipes() -> None:
    from sqsam_deploy.cli._export_tables import show_recipes
    from sqsam_deploy.recipes import bundled_recipes

    recipes = bundled_recipes()
    answer({"recipes": recipes})
    show_recipes(recipes)


def _plan(request: ExportRequest) -> None:
    with loading():
        from sqsam_deploy.cli._export_tables import show_plan
        from sqsam_deploy.pipeline.plan import plan_export

    plan = plan_export(request)
    answer({"plan": plan})
    show_plan(plan)


def _list_runtimes() -> None:
    from sqsam_deploy.cli._export_tables import show_runtimes
    from sqsam_deploy.runtimes.registry import all_runtimes

    runtimes = all_runtimes()
    answer({"runtimes": [_described(runtime) for runtime in runtimes]})
    show_runtimes(runtimes)


def _described(runtime: "Runtime") -> dict[str, object]:
    return {
        "name": runtime.name,
        "title": runtime.title,
        "ending": runtime.ending,
        "precisions": runtime.precisions,
        "is_default": runtime.is_default,
    }


def _export(request: ExportRequest) -> None:
    with loading():
        from sqsam_deploy._internal.progress import shown_steps
        from sqsam_deploy.cli._export_tables import show_artifacts
        from sqsam_deploy.report.export import export, step_count

    with shown_steps(step_count(request)) as steps:
        manifest = export(request, steps)
    answer({"directory": request.output, "manifest": manifest})
    show_artifacts(manifest, request.output)


def _check_reproducible(directory: Path, request: ExportRequest) -> None:
    with loading():
        from sqsam_deploy.cli._export_tables import described_changes, show_comparison
        from sqsam_deploy.pipeline.rebuild import RebuildSource
        from sqsam_deploy.pipeline.reproducibility import check_reproducible

    # Not given, the weights are those that the manifest names.
    checkpoint = request.checkpoint if isinstance(request.checkpoint, Path) else None
    result = check_reproducible(directory, RebuildSource(checkpoint, request.calibration))
    answer({"directory": directory, "reproduced": result.same, "comparison": result})
    show_comparison(result)
    changes = described_changes(result.tool_changes)
    if not result.same:
        count = sum(not file.same for file in result.files)
        where = f"; {changes}" if changes else ""
        raise GateError(
            f"{directory} is not what was built again: {count} of {len(result.files)} files "
            f"differ{where}"
        )
    say(f"Reproduced: all {len(result.files)} files of {directory}, byte for byte.")
    if changes:
        say(f"Although {changes}.")


def main() -> None:
    """Entry point of `sqsam-export`."""
    run(app)
