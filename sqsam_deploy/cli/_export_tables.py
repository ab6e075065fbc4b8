"""The tables that `sqsam-export` prints."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table

from sqsam_deploy._internal.terminal import say, stdout

if TYPE_CHECKING:
    from sqsam_deploy.artifact.manifest import Manifest
    from sqsam_deploy.pipeline.plan import ExportPlan
    from sqsam_deploy.pipeline.reproducibility import FileComparison, Reproduction
    from sqsam_deploy.recipes import Recipe
    from sqsam_deploy.runtimes.base import Runtime


def show_recipes(recipes: "Sequence[Recipe]") -> None:
    """Name, purpose and artifacts of each recipe."""
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("recipe", no_wrap=True)
    table.add_column("what it is for")
    table.add_column("builds")
    for recipe in recipes:
        table.add_row(recipe.name, recipe.summary, _builds(recipe))
    stdout().print(table)


def _builds(recipe: "Recipe") -> str:
    """`coreml int8 fp16, onnx int8`."""
    precisions: dict[str, list[str]] = {}
    for target in recipe.targets:
        precisions.setdefault(target.runtime, []).append(target.precision)
    return ", ".join(f"{runtime} {' '.join(names)}" for runtime, names in precisions.items())


def show_runtimes(runtimes: "Sequence[Runtime]") -> None:
    """Name, what it is, and precisions of each runtime."""
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("runtime", no_wrap=True)
    table.add_column("what it is")
    table.add_column("files")
    table.add_column("precisions")
    table.add_column("built without --runtime")
    for runtime in runtimes:
        usual = "yes" if runtime.is_default else "no"
        precisions = " ".join(runtime.precisions)
        table.add_row(runtime.name, runtime.title, runtime.ending, precisions, usual)
    stdout().print(table)


def show_artifacts(manifest: "Manifest", output: Path) -> None:
    """The artifacts that were written, and how well they agree with the float network."""
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
    stdout().print(table)
    executors = dict.fromkeys(entry.agreement.executor for entry in manifest.artifacts)
    probes = manifest.artifacts[0].agreement
    say(
        f"Mean mask IoU and largest logit difference against the float network on {probes.prompts} "
        f"prompts, executed by {'; '.join(executors)}."
    )
    if manifest.calibration is not None:
        say(f"Ranges of int8: {manifest.calibration.sentence}.")
    say(f"Written: {output}")


def show_plan(plan: "ExportPlan") -> None:
    """The artifacts that an export would build."""
    table = Table(box=box.SIMPLE_HEAD)
    for heading in ("artifact", "runtime", "precision"):
        table.add_column(heading, overflow="fold")
    table.add_column("about MB", justify="right")
    for entry in plan.artifacts:
        size = f"{entry.estimated_bytes / 1e6:.1f}"
        table.add_row(entry.path, entry.runtime, entry.precision, size)
    stdout().print(table)
    images = plan.calibration_images
    calibration = "" if images is None else f", calibrated on {images} photos"
    total = sum(entry.estimated_bytes for entry in plan.artifacts)
    say(
        f"From {plan.weights.name}{calibration}, about {total / 1e6:.1f} MB would be written to "
        f"{plan.output}. Nothing was."
    )


def show_comparison(result: "Reproduction") -> None:
    """Each file of an export beside the same one built again."""
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("file", overflow="fold")
    table.add_column("bytes", justify="right")
    table.add_column("built again")
    for file in result.files:
        size = "missing" if file.bytes is None else f"{file.bytes}"
        table.add_row(file.path, size, _verdict(file))
    from sqsam_deploy.artifact.manifest import MANIFEST_NAME

    manifest = ", ".join(result.manifest_changes)
    verdict = f"differs: {manifest}" if manifest else "same, versions and measurements apart"
    table.add_row(MANIFEST_NAME, "", verdict)
    stdout().print(table)


def _verdict(file: "FileComparison") -> str:
    if file.same:
        return "same"
    if file.bytes_again is None:
        return "not built"
    if file.first_difference is None:
        return f"{file.bytes_again} bytes"
    return f"differs from byte {file.first_difference} on"


def described_changes(changes: Mapping[str, tuple[str, str]]) -> str:
    """Versions that are not those an export was made with, in words; empty where all are."""
    words = (f"{name} {before} (here {now})" for name, (before, now) in changes.items())
    return f"it was made with {', '.join(words)}" if changes else ""
