"""`sqsam-inspect`: what a checkpoint, an artifact or an export directory holds."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from sqsam_deploy._internal.terminal import PlainConsole, stdout
from sqsam_deploy.cli._app import make_app, run
from sqsam_deploy.cli._output import answer

if TYPE_CHECKING:
    from rich.table import Table

    from sqsam_deploy.artifact.manifest import Agreement
    from sqsam_deploy.artifact.metadata import ArtifactMetadata, PromptRules
    from sqsam_deploy.artifact.requirements import Requirements
    from sqsam_deploy.cli._inspection import (
        ArtifactFacts,
        CheckpointFacts,
        DeviceFacts,
        ExportFacts,
        Facts,
    )
    from sqsam_deploy.runtimes.device import DeviceCheck

app = make_app("sqsam-inspect", "[OPTIONS] FILE")


@app.default
def inspect(
    file: Annotated[Path, Parameter(metavar="FILE")],
    /,
    *,
    device: bool = False,
) -> int | None:
    """Show what a file holds, or what phones ask of it.

    Of a checkpoint: its network, tensors and metadata, and into what an export folds each norm.
    Of an artifact or an export directory: inputs, outputs, sizes, and how well it agrees with the
    float network.

    Exit codes: 0 shown, 1 with --device: it breaks a rule that no phone forgives, 2 wrong usage,
    3 the file cannot be read or used.

    Args:
        file: Checkpoint, artifact (.pte, .onnx, .mlpackage or .tflite), export directory or its
            manifest.json.
        device: Show the libraries that an app links for an artifact, the lowest systems, and every
            rule of phones that can be checked on it, with its source.
    """
    from sqsam_deploy.cli._inspection import examine, examine_device

    if device:
        on_device = examine_device(file)
        answer(on_device.model_dump(mode="json"))
        _show_device(stdout(), on_device)
        return int(on_device.broken)
    facts = examine(file)
    answer(facts.model_dump(mode="json"))
    _show(facts)
    return None


def _show(facts: "Facts") -> None:
    console = stdout()
    if facts.kind == "checkpoint":
        _show_checkpoint(console, facts)
    elif facts.kind == "artifact":
        _show_artifact(console, facts)
    else:
        _show_export(console, facts)


def _show_checkpoint(console: PlainConsole, facts: "CheckpointFacts") -> None:
    dtypes = ", ".join(f"{count} {dtype}" for dtype, count in facts.dtypes.items())
    rows = {
        "checkpoint": facts.path,
        "format": f"{facts.format}, {facts.key_names} key names",
        "preset": facts.preset,
        "parameters": f"{facts.parameters:,}",
        "tensors": f"{facts.tensors} ({dtypes})",
        "size": _size(facts.bytes),
        "sha256": facts.sha256,
    }
    _print_pairs(console, rows)
    if facts.metadata:
        console.print("metadata", style="bold")
        _print_pairs(console, dict(sorted(facts.metadata.items())))
    table = _table(console, "norm or part", "rule", "into")
    for step in facts.folding:
        table.add_row(step.source, step.rule, ", ".join(step.into) or step.reason)
    console.print(table)


def _show_artifact(console: PlainConsole, facts: "ArtifactFacts") -> None:
    rows = {"artifact": facts.path, "size": _size(facts.bytes)}
    rows |= _described(facts.metadata) | _agreement(facts.agreement)
    _print_pairs(console, rows)
    _print_tensors(console, facts.metadata)


def _show_export(console: PlainConsole, facts: "ExportFacts") -> None:
    manifest = facts.manifest
    rows = {
        "export": facts.path,
        "name": manifest.name,
        "preset": manifest.preset,
        "weights": f"{manifest.weights.name}, sha256 {manifest.weights.sha256}",
    }
    if manifest.calibration is not None:
        rows["calibration"] = manifest.calibration.sentence
    rows["tools"] = ", ".join(f"{name} {text}" for name, text in manifest.tools.items())
    _print_pairs(console, rows)
    table = _table(console, "artifact", "runtime", "precision", "size", "needs", "mask IoU")
    for entry in manifest.artifacts:
        about = entry.metadata
        agrees = f"{entry.agreement.mean_mask_iou:.4f} (limit {entry.agreement.limit:g})"
        size = _size(entry.bytes)
        table.add_row(
            entry.path, about.runtime, about.precision, size, entry.minimum_runtime, agrees
        )
    console.print(table)
    if manifest.artifacts:
        first = manifest.artifacts[0]
        console.print(f"inputs and outputs of {first.path}", style="bold")
        _print_tensors(console, first.metadata)


def _show_device(console: PlainConsole, facts: "DeviceFacts") -> None:
    for artifact in facts.artifacts:
        _print_pairs(console, {"artifact": artifact.path, **_needed(artifact.requirements)})
        table = _table(console, "rule", "outcome", "what it says", "source")
        for check in artifact.checks:
            table.add_row(check.rule.key, check.outcome, _sentence(check), check.rule.source)
        console.print(table)


def _needed(requirements: "Requirements") -> dict[str, str]:
    """The known requirements."""
    outside = requirements.operators_outside
    rows = {
        "operators outside": None
        if outside is None
        else ", ".join(f"{count} {name}" for name, count in outside.items()) or "none",
        "delegates": ", ".join(requirements.delegates),
        "Swift": "; ".join(
            f"{package.url} {package.branch or package.version}: {', '.join(package.products)}"
            for package in requirements.swift
        ),
        "linker flags": " ".join(requirements.linker_flags),
        "frameworks": ", ".join(requirements.frameworks),
        "lowest iOS": requirements.ios,
        "lowest macOS": requirements.macos,
        "Gradle": ", ".join(requirements.maven),
        "lowest Android API": requirements.android_api and str(requirements.android_api),
        "Android ABIs": ", ".join(requirements.android_abis),
    }
    return {name: text for name, text in rows.items() if text}


def _sentence(check: "DeviceCheck") -> str:
    if not check.violations:
        return check.rule.statement
    return f"{check.rule.statement} Not so: {check.found}. {check.rule.otherwise}"


def _described(metadata: "ArtifactMetadata") -> dict[str, str]:
    return {
        "runtime": f"{metadata.runtime}, {metadata.precision}",
        "preset": f"{metadata.preset}, written by sqsam-deploy {metadata.package_version}",
        "weights": f"sha256 {metadata.weights_sha256}",
        "image": f"{metadata.image_size}x{metadata.image_size} {metadata.color_order}, "
        f"{metadata.resize}",
        "prompts": _prompts(metadata.prompts),
        "mask threshold": f"{metadata.mask_threshold:g}",
    }


def _prompts(rules: "PromptRules | None") -> str:
    if rules is None:
        return "none"
    return (
        f"maps {rules.map_order}, discs of radius {rules.click_radius}, marked with "
        f"{rules.marked_value}, at most {rules.max_clicks} clicks"
    )


def _agreement(agreement: "Agreement | None") -> dict[str, str]:
    if agreement is None:
        return {"agreement": "no manifest.json beside the artifact records it"}
    return {
        "agreement": f"mask IoU {agreement.mean_mask_iou:.4f} on average, "
        f"{agreement.min_mask_iou:.4f} at worst, with the float network "
        f"({agreement.prompts} predictions, {agreement.executor})",
        "logit difference": f"{agreement.max_logit_difference:.3g} at most",
    }


def _print_tensors(console: PlainConsole, metadata: "ArtifactMetadata") -> None:
    table = _table(console, "tensor", "role", "dtype", "shape", "axes", "range")
    for role, specs in (("input", metadata.inputs), ("output", metadata.outputs)):
        for spec in specs:
            shape = "x".join(str(n) for n in spec.shape)
            low_high = spec.value_range
            bounds = "unbounded" if low_high is None else f"{low_high[0]:g} to {low_high[1]:g}"
            table.add_row(spec.name, role, spec.dtype, shape, spec.layout, bounds)
    console.print(table)


def _print_pairs(console: PlainConsole, rows: dict[str, str]) -> None:
    from rich.table import Table

    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, text in rows.items():
        table.add_row(name, text)
    console.print(table)
    console.print()


def _table(console: PlainConsole, *columns: str) -> "Table":
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD if console.is_terminal else None, pad_edge=False)
    for column in columns:
        # The first one names the row: it stays whole where a terminal is narrow.
        table.add_column(column, no_wrap=column == columns[0], overflow="fold")
    return table


def _size(count: int) -> str:
    return f"{count / 1e6:.2f} MB" if count >= 10_000 else f"{count} bytes"


def main() -> None:
    """Entry point of `sqsam-inspect`."""
    run(app)
