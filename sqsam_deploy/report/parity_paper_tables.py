"""The paper's tables (arXiv 2312.06736), with what was measured here beneath the paper's rows.

The paper measured on COCO val2017 and LVIS; a row measured on another dataset stands there for
orientation, not for comparison, and says which dataset it is.
"""

from collections.abc import Callable, Sequence

from sqsam_deploy.evaluation.report import ArtifactReport, MeanIou, ParityReport
from sqsam_deploy.report.page import Table

#: mIoU with a detector's boxes on COCO and LVIS.
TABLE_1 = (("SAM ViT-H", 78.4, 78.9), ("MobileSAM", 74.3, 72.3), ("SqueezeSAM", 74.9, 74.1))
AP_COLUMNS = ("AP", "AP large", "AP medium", "AP small")
#: COCO mIoU with 3 random points.
TABLE_2 = (("SAM", 68.79), ("MobileSAM", 59.69), ("SqueezeSAM", 62.62))
#: mIoU with 1 and 3 saliency points.
TABLE_4 = (
    ("SAM", 56, 75),
    ("MobileSAM", 58, 76),
    ("Salient SqueezeSAM", 74, 74),
    ("Salient SqueezeSAM, fine-tuned", 79, 79),
)


def paper_tables(report: ParityReport) -> list[Table]:
    """The tables whose prompts the run used."""
    makers = (_table_1, _table_2, _table_4)
    tables = (make(report) for make in makers)
    return [table for table in tables if table is not None]


def _table_1(report: ParityReport) -> Table | None:
    if "detector-box" in report.prompts:
        return _boxes_table(report, "detector-box", "a detector's boxes", _ap_cells, AP_COLUMNS)
    if "box" in report.prompts:
        return _boxes_table(report, "box", "ground-truth boxes", lambda artifact: [], ())
    return None


def _boxes_table(
    report: ParityReport,
    kind: str,
    prompts: str,
    more_cells: Callable[[ArtifactReport], Sequence[str]],
    more_columns: Sequence[str],
) -> Table:
    blank = ["-"] * (3 + len(more_columns))
    paper = [
        (f"{name} (paper)", f"{coco:.1f} COCO / {lvis:.1f} LVIS", *blank)
        for name, coco, lvis in TABLE_1
    ]
    rows = [
        (name, *_miou_cells(_of_kind(artifact, kind)), *more_cells(artifact))
        for name, artifact in report.artifacts.items()
    ]
    columns = ("", "mIoU", "large", "medium", "small", *more_columns)
    return Table(f"Table 1: {prompts}, {report.dataset.name}", columns, (*paper, *rows))


def _table_2(report: ParityReport) -> Table | None:
    if "3-clicks" not in report.prompts:
        return None
    paper = [(f"{name} (paper)", f"{miou:.2f}", "-", "-", "-") for name, miou in TABLE_2]
    rows = [
        (name, *_miou_cells(_of_kind(artifact, "3-clicks")))
        for name, artifact in report.artifacts.items()
    ]
    title = f"Table 2: 3 random points, {report.dataset.name}"
    return Table(title, ("", "mIoU", "large", "medium", "small"), (*paper, *rows))


def _table_4(report: ParityReport) -> Table | None:
    if not {"saliency-1", "saliency-3"} <= set(report.prompts):
        return None
    paper = [(f"{name} (paper)", f"{one}", f"{three}") for name, one, three in TABLE_4]
    rows = [
        (
            name,
            _points(_of_kind(artifact, "saliency-1")),
            _points(_of_kind(artifact, "saliency-3")),
        )
        for name, artifact in report.artifacts.items()
    ]
    title = f"Table 4: saliency points, {report.dataset.name}"
    return Table(title, ("", "1 point", "3 points"), (*paper, *rows))


def _of_kind(artifact: ArtifactReport, kind: str) -> MeanIou | None:
    return next((row for row in artifact.miou if row.kind == kind), None)


def _points(row: MeanIou | None) -> str:
    return f"{row.overall:.2f}" if row else "-"


def _miou_cells(row: MeanIou | None) -> Sequence[str]:
    if row is None:
        return ["-"] * 4
    sizes = (row.large, row.medium, row.small)
    return [f"{row.overall:.2f}", *(_cell(value) for value in sizes)]


def _ap_cells(artifact: ArtifactReport) -> Sequence[str]:
    ap = artifact.average_precision
    if ap is None:
        return ["-"] * 4
    return [_cell(value) for value in (ap.ap, ap.ap_large, ap.ap_medium, ap.ap_small)]


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
