"""The paper's numbers in the documents are those of the package's file."""

import re
from pathlib import Path

import pytest

from sqsam_deploy.published import published
from sqsam_deploy.report.parity_paper_tables import stated_rows

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def page():
    return (ROOT / "docs" / "paper-tables.md").read_text("utf-8")


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_the_document_has_the_papers_rows(page, number):
    section = page.split(f"## Table {number}:")[1].split("\n## ")[0]
    shown = [
        tuple(cell.strip() for cell in line.strip("|").split("|"))
        for line in section.splitlines()
        if line.startswith("| ") and "(paper" in line
    ]
    assert shown == [tuple(row[: len(shown[0])]) for row in stated_rows(number)]


def test_ratios_stand_with_their_version(page):
    words = " ".join(page.split())
    for name, ratio in published().ratios.items():
        version, place = name.removeprefix("v").split("-")
        both = f"{ratio.faster} and {ratio.smaller} in "
        after = words.split(both)[1]
        assert re.match(rf"(version {version}'s|its) {place}", after)


def test_the_card_quotes_the_papers_own_row():
    card = (ROOT / "sqsam_deploy" / "checkpoint" / "bundled" / "paper.md").read_text("utf-8")
    own = {row.network: row for row in published().table_1}["SqueezeSAM"]
    clicks = {row.network: row for row in published().table_2}["SqueezeSAM"].miou.overall
    words = " ".join(card.split())
    assert f"The paper reports {own.coco.miou} mIoU" in words
    assert f"{clicks} with three clicks" in words
