"""The paper's numbers in the package are those of its text."""

import re
from decimal import Decimal

import pytest

from sqsam_deploy.published import BoxScores, published


@pytest.fixture(scope="module")
def lines(shared):
    text = (shared / "documents" / "paper-v1.txt").read_text("utf-8")
    return [" ".join(re.sub(r"\[\d+\]|%", "", line).split()) for line in text.splitlines()]


def _row(lines: list[str], start: str, following: str) -> list[str]:
    """The cells after the name `start` of the first row beneath the line that begins so."""
    first = next(i for i, line in enumerate(lines) if line.startswith(following))
    row = next(line for line in lines[first:] if line.startswith(f"{start} "))
    return row.removeprefix(start).removeprefix(" (Ours)").split()


def _scores(scores: BoxScores, *, person: bool) -> list[Decimal | None]:
    values = [scores.miou, scores.ap, scores.large, scores.medium, scores.small]
    return [*values, scores.person] if person else values


def _text(values: list[Decimal | None]) -> list[str]:
    return ["-" if value is None else str(value) for value in values]


def test_table_1_is_the_papers(lines):
    for row in published().table_1:
        cells = _row(lines, row.network, "Table 1:")
        coco, lvis = _scores(row.coco, person=True), _scores(row.lvis, person=False)
        latency = [row.a100_ms, row.iphone_14_cpu_ms]
        assert _text([*coco, *lvis, *latency, row.parameters_m]) == cells


def test_table_2_is_the_papers(lines):
    for row in published().table_2:
        cells = _row(lines, row.network, "Table 2:")
        miou = row.miou
        assert _text([miou.overall, miou.large, miou.medium, miou.small]) == cells


def test_tables_3_and_4_are_the_papers(lines):
    for row in published().table_3:
        assert [str(row.miou)] == _row(lines, row.network, "Table 3:")
    for row in published().table_4:
        cells = _row(lines, row.network, "Table 4:")
        assert _text([row.one_point, row.three_points]) == cells


def test_the_ratios_are_those_of_each_version(lines, shared):
    ratios = published().ratios
    text = " ".join(lines)
    for name in ("v1-abstract", "v1-introduction"):
        assert f"{ratios[name].faster} faster and {ratios[name].smaller} smaller" in text
    third = (shared / "documents" / "abstract-v3.txt").read_text("utf-8").replace(" times", "x")
    of_third = ratios["v3-abstract"]
    assert f"{of_third.faster} faster and {of_third.smaller} smaller" in third
