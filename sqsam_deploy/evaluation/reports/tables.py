"""What a report says, as tables of text that every output draws its own way."""

from collections.abc import Iterator
from dataclasses import dataclass

from sqsam_deploy.evaluation.report import (
    DriftInterval,
    GateResult,
    MaskAgreement,
    ParityReport,
    overall,
)


@dataclass(frozen=True)
class Table:
    """Text in rows, the first cell of each naming it."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def headline(report: ParityReport) -> str:
    """The result in one sentence."""
    gated = [artifact for artifact in report.artifacts.values() if artifact.gate]
    data = report.dataset
    asked = f"{data.objects} objects in {data.images} images of {data.name}"
    if not gated:
        return f"nothing to compare: one artifact, {asked}"
    compared = "1 artifact" if len(gated) == 1 else f"{len(gated)} artifacts"
    limit = f"drift of at most {report.max_drift:g} mIoU points"
    alike = f"masks that agree at {report.min_agreement:g} or more"
    return f"{report.outcome}: {compared}, {limit}, {alike}, {asked}"


def problems(report: ParityReport) -> list[str]:
    """Why the run did not pass, and what else a reader must know: one sentence each."""
    sentences: list[str] = []
    for name, artifact in report.artifacts.items():
        if artifact.gate:
            sentences += _problem(name, artifact.reference, artifact.drift, artifact.gate)
        if artifact.agreement and artifact.agreement_gate:
            sentences += _disagreement(name, artifact.agreement, artifact.agreement_gate)
        if artifact.baseline:
            drift, gate = artifact.baseline.drift, artifact.baseline.gate
            sentences += _problem(name, "the baseline", drift, gate)
        if artifact.weights_sha256 != report.artifacts[artifact.reference].weights_sha256:
            sentences.append(
                f"{name} was made of other weights than {artifact.reference}: "
                "its drift is not that of quantization alone"
            )
    broken = report.dataset.broken
    if broken:
        sentences.append(f"{len(broken)} images were left out, the first: {broken[0].reason}")
    return sentences


def _problem(name: str, other: str, drift: DriftInterval, gate: GateResult) -> Iterator[str]:
    against = f"{name} against {other}: drift {interval_text(drift)}"
    if gate.outcome == "failed":
        yield f"{against} is over {gate.limit:g} points"
    elif gate.outcome == "undecided":
        needed = gate.objects_needed
        how_many = f"about {needed} objects would decide" if needed else "no number would decide"
        yield f"{against} leaves {gate.limit:g} points undecided: {how_many}"


def _disagreement(name: str, agreement: MaskAgreement, gate: GateResult) -> Iterator[str]:
    found = f"{name} against {agreement.other}: masks agree at {agreement_text(agreement)}"
    if gate.outcome == "failed":
        yield f"{found}, under {gate.limit:g}"
    elif gate.outcome == "undecided":
        needed = gate.objects_needed
        how_many = f"about {needed} objects would decide" if needed else "no number would decide"
        yield f"{found}, which leaves {gate.limit:g} undecided: {how_many}"


def run_tables(report: ParityReport) -> list[Table]:
    """Every table that has a row, the gate first."""
    makers = (gate_table, baseline_table, kinds_table, sizes_table, agreement_table, clicking_table)
    return [table for table in (make(report) for make in makers) if table.rows]


def gate_table(report: ParityReport) -> Table:
    """One row an artifact: its gate."""
    columns = ("artifact", "mIoU", "drift", "95% interval", "agreement", "gate")
    rows = []
    for name, artifact in report.artifacts.items():
        miou = sum(row.overall * row.objects for row in artifact.miou)
        count = sum(row.objects for row in artifact.miou)
        gates = [gate for gate in (artifact.gate, artifact.agreement_gate) if gate]
        outcome = overall([gate.outcome for gate in gates]) if gates else "reference"
        own = (signed(artifact.drift.mean), bounds_text(artifact.drift))
        drift = own if artifact.gate else ("-", "-")
        agreement = f"{artifact.agreement.mean:.4f}" if artifact.agreement else "-"
        rows.append((name, f"{miou / count:.2f}", *drift, agreement, outcome))
    return Table("Drift in mIoU points (positive: quality was lost)", columns, tuple(rows))


def baseline_table(report: ParityReport) -> Table:
    """One row an artifact that the earlier run had too."""
    rows = tuple(
        (
            name,
            signed(artifact.baseline.drift.mean),
            bounds_text(artifact.baseline.drift),
            str(artifact.baseline.objects),
            artifact.baseline.gate.outcome,
        )
        for name, artifact in report.artifacts.items()
        if artifact.baseline
    )
    columns = ("artifact", "drift", "95% interval", "objects", "gate")
    return Table("Drift against the baseline", columns, rows)


def kinds_table(report: ParityReport) -> Table:
    """Drift by prompt kind."""
    rows = tuple(
        (name, *(_group_text(report, name, kind, None) for kind in report.prompts))
        for name, artifact in report.artifacts.items()
        if artifact.groups
    )
    return Table("Drift by prompt", ("artifact", *report.prompts), rows)


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


def agreement_text(agreement: MaskAgreement) -> str:
    """ "0.981 [0.975, 0.986]"."""
    return f"{agreement.mean:.3f} [{agreement.low:.3f}, {agreement.high:.3f}]"


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
