"""The paper's tables (arXiv 2312.06736 v1), with what was measured here beneath the paper's rows.

The paper measured on COCO val2017, LVIS and, for Table 3, photos of its own; a row measured on
another dataset stands there for orientation, not for comparison, and says which dataset it is.
"""

from collections.abc import Iterable
from decimal import Decimal

from sqsam_deploy.benchmark.macs import preset_work
from sqsam_deploy.evaluation.report import ArtifactReport, MeanIou, ParityReport
from sqsam_deploy.evaluation.whole_objects import WholeObjects
from sqsam_deploy.model.config import PRESETS
from sqsam_deploy.published import BoxRow, PersonRow, PointsRow, SaliencyRow, SizeScores, published
from sqsam_deploy.report.page import Table

AP_COLUMNS = ("AP", "AP large", "AP medium", "AP small", "AP person")
SIZE_COLUMNS = ("mIoU", "large", "medium", "small")
_SALIENCY = ("saliency-1", "saliency-3")


def paper_tables(report: ParityReport) -> list[Table]:
    """The tables whose prompts, or whose objects, the run used."""
    makers = (_table_1, _boxes_table, _table_2, _table_3, _table_4, _whole_objects_table)
    tables = (make(report) for make in makers)
    return [table for table in tables if table is not None]


def stated_rows(number: int) -> list[tuple[str, ...]]:
    """The paper's own rows of one of its tables, 1 to 4, as cells."""
    paper = published()
    if number == 1:
        return [cells for row in paper.table_1 for cells in _box_rows(row)]
    if number == 2:
        return [(_named(row), *_cells(_sizes(row.miou))) for row in paper.table_2]
    if number == 3:
        return [(_named(row), f"{row.miou}") for row in paper.table_3]
    return [(_named(r), f"{r.one_point}", f"{r.three_points}", "-") for r in paper.table_4]


def _named(row: PointsRow | PersonRow | SaliencyRow) -> str:
    return f"{row.network} (paper)"


def _box_rows(row: BoxRow) -> Iterable[tuple[str, ...]]:
    for dataset, scores in (("COCO", row.coco), ("LVIS", row.lvis)):
        values = (scores.ap, scores.large, scores.medium, scores.small, scores.person)
        name = f"{row.network} (paper, {dataset})"
        yield name, f"{row.parameters_m}", *_cells((scores.miou, *values))


def _sizes(scores: SizeScores) -> tuple[Decimal, ...]:
    return scores.overall, scores.large, scores.medium, scores.small


def _table_1(report: ParityReport) -> Table | None:
    if "detector-box" not in report.prompts:
        return None
    rows = stated_rows(1)
    for name, artifact in report.artifacts.items():
        miou, ap = _of_kind(artifact, "detector-box"), artifact.average_precision
        values = (ap.ap, ap.ap_large, ap.ap_medium, ap.ap_small, ap.ap_person) if ap else [None] * 5
        rows.append((name, _parameters(artifact), _overall(miou), *_cells(values)))
    columns = ("", "parameters M", "mIoU", *AP_COLUMNS)
    return Table(f"Table 1: a detector's boxes, {report.dataset.name}", columns, tuple(rows))


def _boxes_table(report: ParityReport) -> Table | None:
    """mIoU with the dataset's own boxes, for which the paper has no table."""
    if "box" not in report.prompts:
        return None
    rows = tuple(
        (name, _parameters(artifact), *_size_cells(_of_kind(artifact, "box")))
        for name, artifact in report.artifacts.items()
    )
    title = f"Ground-truth boxes (no table of the paper), {report.dataset.name}"
    return Table(title, ("", "parameters M", *SIZE_COLUMNS), rows)


def _table_2(report: ParityReport) -> Table | None:
    if "3-clicks" not in report.prompts:
        return None
    rows = [
        (name, *_size_cells(_of_kind(artifact, "3-clicks")))
        for name, artifact in report.artifacts.items()
    ]
    title = f"Table 2: 3 random points, {report.dataset.name}"
    return Table(title, ("", *SIZE_COLUMNS), (*stated_rows(2), *rows))


def _table_3(report: ParityReport) -> Table | None:
    """Persons; with a column for each kind of prompt, as the paper does not say which it used."""
    if report.dataset.category != "person":
        return None
    blank = ["-"] * len(report.prompts)
    rows = [(*row, *blank) for row in stated_rows(3)]
    for name, artifact in report.artifacts.items():
        found = (_of_kind(artifact, kind) for kind in report.prompts)
        rows.append((name, "-", *(_overall(row) for row in found)))
    columns = ("", "prompt not stated", *report.prompts)
    return Table(f"Table 3: persons, mIoU, {report.dataset.name}", columns, tuple(rows))


def _table_4(report: ParityReport) -> Table | None:
    if not set(_SALIENCY) <= set(report.prompts):
        return None
    rows = stated_rows(4)
    for name, artifact in report.artifacts.items():
        one, three = (_of_kind(artifact, kind) for kind in _SALIENCY)
        count = f"{one.objects}" if one else "-"
        rows.append((name, _overall(one), _overall(three), count))
    title = f"Table 4: saliency points, large masks, {report.dataset.name}"
    return Table(title, ("", "1 point", "3 points", "images"), tuple(rows))


def _whole_objects_table(report: ParityReport) -> Table | None:
    """A click on a part, for which the paper has figures and no table."""
    kinds = WholeObjects.kinds
    if not set(kinds) <= set(report.prompts):
        return None
    rows = []
    for name, artifact in report.artifacts.items():
        found = [_of_kind(artifact, kind) for kind in kinds]
        cells = [(_overall(row), f"{row.objects if row else 0}") for row in found]
        rows.append((name, *(cell for pair in cells for cell in pair)))
    columns = ("", "lower third of a person", "persons", "nested part", "objects")
    title = f"Whole objects: a click on a part, mIoU with the whole, {report.dataset.name}"
    return Table(title, columns, tuple(rows))


def _parameters(artifact: ArtifactReport) -> str:
    if artifact.preset not in PRESETS:
        return "-"
    return f"{preset_work(artifact.preset).parameters / 1e6:.1f}"


def _of_kind(artifact: ArtifactReport, kind: str) -> MeanIou | None:
    return next((row for row in artifact.miou if row.kind == kind), None)


def _overall(row: MeanIou | None) -> str:
    return _cell(row.overall if row else None)


def _size_cells(row: MeanIou | None) -> tuple[str, ...]:
    return _cells((row.overall, row.large, row.medium, row.small) if row else [None] * 4)


def _cells(values: Iterable[float | Decimal | None]) -> tuple[str, ...]:
    return tuple(_cell(value) for value in values)


def _cell(value: float | Decimal | None) -> str:
    """A number of the paper as it is printed there, one of ours with two decimals."""
    if value is None:
        return "-"
    return f"{value}" if isinstance(value, Decimal) else f"{value:.2f}"
