"""A report as tables of text, which every output draws its own way."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from sqsam_deploy.evaluation.gate import overall
from sqsam_deploy.evaluation.outputs import OutputsDifference
from sqsam_deploy.evaluation.report import (
    ArtifactReport,
    DriftInterval,
    Estimate,
    GateResult,
    MaskAgreement,
    MeanIou,
    ParityReport,
)
from sqsam_deploy.report.page import Table
from sqsam_deploy.report.parity_paper_tables import paper_tables
from sqsam_deploy.saliency.measures import SaliencyMeasures


def title(report: ParityReport) -> str:
    """How many artifacts were compared with which references, or that none was."""
    if not any(artifact.gates for artifact in report.artifacts.values()):
        return f"Scores of {', '.join(report.artifacts)}"
    references = dict.fromkeys(artifact.reference for artifact in report.artifacts.values())
    return f"Parity of {_gated(report)} with {', '.join(references)}"


def _gated(report: ParityReport) -> str:
    count = sum(bool(artifact.gates) for artifact in report.artifacts.values())
    return "1 artifact" if count == 1 else f"{count} artifacts"


def headline(report: ParityReport) -> str:
    """The result in one sentence."""
    gated = any(artifact.gates for artifact in report.artifacts.values())
    data = report.dataset
    asked = f"{data.objects} objects in {data.images} images of {data.name}"
    if data.available is not None:
        asked += f" ({data.available} could be drawn)"
    if not gated:
        return f"scored, not compared: {', '.join(report.artifacts)}, {asked}"
    limit = f"drift of at most {limits_text(report)} mIoU points"
    alike = f"masks that agree at {report.min_agreement:g} or more"
    return f"{report.outcome}: {_gated(report)}, {limit}, {alike}, {asked}"


def limits_text(report: ParityReport) -> str:
    """ "1" where all kinds have one limit, else "0.5 (box), 2 (1-click)"."""
    limits = report.max_drift
    if len(set(limits.values())) == 1:
        return f"{next(iter(limits.values())):g}"
    return ", ".join(f"{limit:g} ({kind})" for kind, limit in limits.items())


def problems(report: ParityReport) -> list[str]:
    """Why the run did not pass, and what else a reader must know: one sentence each."""
    sentences: list[str] = []
    for name, artifact in report.artifacts.items():
        sentences += [
            f"{name}: {gate_text(gate)}" for gate in artifact.gates if gate.outcome != "passed"
        ]
        if artifact.weights_sha256 != report.artifacts[artifact.reference].weights_sha256:
            sentences.append(
                f"{name} was made of other weights than {artifact.reference}: "
                "its drift is not that of quantization alone"
            )
    broken = report.dataset.broken
    if broken:
        sentences.append(f"{len(broken)} images were left out, the first: {broken[0].reason}")
    return sentences


def gate_text(gate: GateResult) -> str:
    """Measured values, their limits, and the verdicts."""
    numbers = _points if gate.measure != "disagreement" else _part
    measured = (
        f"{gate.measure} with the prompt {gate.kind} {numbers(gate.estimate.mean)} "
        f"[{numbers(gate.estimate.low)}, {numbers(gate.estimate.high)}], "
        f"bound {numbers(gate.bound)}"
    )
    if gate.outcome == "failed":
        return f"{measured}, is over {gate.limit:g}"
    if gate.outcome == "passed":
        return f"{measured}, is within {gate.limit:g}"
    return f"{measured}, leaves {gate.limit:g} undecided: {needed_text(gate)}"


def needed_text(gate: GateResult) -> str:
    """How many photos would decide, with the range that the mean's own error leaves."""
    low, high = (f"{n}" if n else "no number" for n in gate.images_range)
    spread = f"({low} to {high} at one standard error less or more; {gate.images} were used)"
    if gate.images_needed is None:
        return f"no number of photos would decide {spread}"
    return f"about {gate.images_needed} photos decide with a chance of 80% {spread}"


def report_tables(report: ParityReport) -> list[Table]:
    """Every table that has a row, the gates first and the paper's last."""
    compared = any(artifact.gates for artifact in report.artifacts.values())
    makers = (
        summary_table if compared else scores_table,
        gate_table,
        losses_table,
        baseline_table,
        sizes_table,
        agreement_table,
        clicking_table,
    )
    own = [table for table in (make(report) for make in makers) if table.rows]
    return [*own, *paper_tables(report)]


def scores_table(report: ParityReport) -> Table:
    """One row an artifact and prompt, where nothing was compared."""
    rows = tuple(
        (name, row.kind, *_scores(row), f"{row.objects}")
        for name, artifact in report.artifacts.items()
        for row in artifact.miou
    )
    columns = ("artifact", "prompt", "mIoU", "large", "medium", "small", "objects")
    return Table(f"mIoU by prompt, {report.dataset.name}", columns, rows)


def _scores(row: MeanIou) -> tuple[str, ...]:
    values = (row.overall, row.large, row.medium, row.small)
    return tuple("-" if value is None else f"{value:.2f}" for value in values)


def summary_table(report: ParityReport) -> Table:
    """One row an artifact: all kinds of prompts together, and what its gates say."""
    columns = ("artifact", "gates", "agreement", "drift", "95% interval", "mIoU")
    rows = tuple(_summary_row(name, artifact) for name, artifact in report.artifacts.items())
    return Table("Drift in mIoU points (positive: quality was lost)", columns, rows)


def _summary_row(name: str, artifact: ArtifactReport) -> tuple[str, ...]:
    miou = sum(row.overall * row.objects for row in artifact.miou)
    count = sum(row.objects for row in artifact.miou)
    own = (signed(artifact.drift.mean), bounds_text(artifact.drift))
    drift = own if artifact.groups else ("-", "-")
    agreement = f"{artifact.agreement.mean:.4f}" if artifact.agreement else "-"
    outcome = overall([gate.outcome for gate in artifact.gates]) if artifact.gates else "reference"
    return (name, outcome, agreement, *drift, f"{miou / count:.2f}")


def gate_table(report: ParityReport) -> Table:
    """One row a gate: what was seen, what is promised, and the limit."""
    rows = tuple(
        (name, gate.kind, gate.outcome, gate.measure, *_gate_numbers(gate))
        for name, artifact in report.artifacts.items()
        for gate in artifact.gates
    )
    columns = ("artifact", "prompt", "gate", "measure", "mean", "95% interval", "bound", "limit")
    return Table("Gates (all must pass: the bound within the limit)", columns, rows)


def _gate_numbers(gate: GateResult) -> tuple[str, ...]:
    numbers = _points if gate.measure != "disagreement" else _part
    estimate: Estimate = gate.estimate
    span = f"[{numbers(estimate.low)}, {numbers(estimate.high)}]"
    return (numbers(estimate.mean), span, numbers(gate.bound), f"{gate.limit:g}")


def _points(value: float) -> str:
    return signed(value)


def _part(value: float) -> str:
    return f"{value:.3f}"


def losses_table(report: ParityReport) -> Table:
    """Objects that lost much with any prompt, and how many there may be."""
    rows = tuple(
        (
            name,
            f"{losses.objects_lost} of {losses.objects}",
            f"{losses.objects_bound:.1%}",
            f"{losses.images_lost} of {losses.images}",
            f"{losses.images_bound:.1%}",
        )
        for name, artifact in report.artifacts.items()
        if (losses := artifact.large_losses)
    )
    columns = ("artifact", "objects", "at most", "photos with one", "at most")
    return Table("Objects that lost more than 10 points (exact 97.5% bounds)", columns, rows)


def baseline_table(report: ParityReport) -> Table:
    """One row an artifact: what it lost since the earlier run."""
    rows = tuple(
        (
            name,
            signed(artifact.baseline.drift.mean),
            bounds_text(artifact.baseline.drift),
            f"all {artifact.baseline.objects}",
            f"all {artifact.baseline.images}",
        )
        for name, artifact in report.artifacts.items()
        if artifact.baseline
    )
    columns = ("artifact", "drift", "95% interval", "objects", "photos")
    return Table("Drift against the baseline", columns, rows)


def sizes_table(report: ParityReport) -> Table:
    """Drift by COCO's size classes."""
    sizes = ("large", "medium", "small")
    rows = tuple(
        (name, *(_group_text(report, name, None, size) for size in sizes))
        for name, artifact in report.artifacts.items()
        if artifact.groups
    )
    return Table("Drift by object size", ("artifact", *sizes), rows)


def _group_text(report: ParityReport, name: str, kind: str | None, size: str | None) -> str:
    for group in report.artifacts[name].groups:
        if (group.kind, group.size) == (kind, size):
            return interval_text(group.drift)
    return "-"


def agreement_table(report: ParityReport) -> Table:
    """How alike masks are: with the reference, and of one precision across runtimes."""
    rows = []
    for name, artifact in report.artifacts.items():
        found = [artifact.agreement]
        if artifact.sibling_agreement != artifact.agreement:
            found.append(artifact.sibling_agreement)
        error = f"{artifact.predicted_iou_error:.2f}"
        rows += [(name, *_agreement_cells(entry), error) for entry in found if entry]
    columns = (
        "artifact",
        "compared with",
        "mask IoU",
        "1st percentile",
        "other best mask",
        "predicted IoU shift",
        "predicted IoU error",
    )
    return Table("Agreement of masks", columns, tuple(rows))


def _agreement_cells(entry: MaskAgreement) -> tuple[str, ...]:
    return (
        entry.other,
        f"{entry.mean:.4f}",
        f"{entry.low_percentile:.4f}",
        f"{entry.best_mask_changed:.1%}",
        f"{entry.predicted_iou_shift:.2f}",
    )


def clicking_table(report: ParityReport) -> Table:
    """Number of clicks by target IoU."""
    rows = tuple(
        (
            name,
            f"NoC@{entry.target}",
            f"{entry.clicks:.2f}",
            f"{entry.failed:.1%}",
            interval_text(entry.added) if entry.added else "-",
        )
        for name, artifact in report.artifacts.items()
        for entry in artifact.clicking
    )
    columns = ("artifact", "target", "clicks", "never reached", "more than the reference")
    return Table("Simulated clicking", columns, rows)


def interval_text(drift: DriftInterval) -> str:
    """ "+0.12 [-0.03, +0.31]"."""
    return f"{signed(drift.mean)} {bounds_text(drift)}"


def bounds_text(drift: DriftInterval) -> str:
    """ "[-0.03, +0.31]"."""
    return f"[{signed(drift.low)}, {signed(drift.high)}]"


def signed(points: float) -> str:
    """ "+0.12", and "0.00" without a sign."""
    text = f"{points:+.2f}"
    return text[1:] if float(text) == 0 else text


def saliency_table(
    name: str, sources: Sequence[Path], measures: Sequence[SaliencyMeasures]
) -> Table:
    """One row a source of saliency maps, on the data set `name`."""
    rows = tuple(
        (f"{source}", *(f"{value:.3f}" for value in list(asdict(found).values())[1:]))
        for source, found in zip(sources, measures, strict=True)
    )
    columns = ("maps", "MAE", "max F", "weighted F", "S", "max E", "mean E")
    return Table(f"Saliency: {measures[0].images} photos of {name}", columns, rows)


def outputs_table(found: Sequence[OutputsDifference]) -> Table:
    """One row an artifact that ran on two machines."""
    columns = (
        *("artifact", "here", "there", "prompts", "logits"),
        *("of which differ", "by at most", "pixels of masks", "lowest agreement"),
    )
    rows = tuple(
        (
            each.artifact,
            *each.software,
            *map(str, (each.prompts, each.logits, each.different_logits)),
            f"{each.largest_difference:.3g}",
            f"{each.different_pixels}",
            f"{each.lowest_agreement:.4f}",
        )
        for each in found
    )
    return Table("Outputs on two machines", columns, rows)


def outputs_headline(found: Sequence[OutputsDifference], min_agreement: float) -> str:
    """The result in one sentence."""
    failed = {each.artifact: each.disagreements for each in found if each.disagreements}
    if failed:
        counts = ", ".join(f"{count} of {name}" for name, count in failed.items())
        return f"failed: masks that agree at less than {min_agreement:g}: {counts}"
    if not any(each.different_logits for each in found):
        return f"passed: the same bits, {', '.join(each.artifact for each in found)}"
    return f"passed: every mask agrees at {min_agreement:g} or more"
