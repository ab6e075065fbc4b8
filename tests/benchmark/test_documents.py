"""The documents that quote measurements are what the command makes of the result files."""

import shutil
from pathlib import Path

import pytest

from sqsam_deploy.benchmark.readme import NOTES_NAME, write_front_table, write_readme
from sqsam_deploy.errors import ArtifactError

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results"


def test_the_readme_of_the_benchmarks_is_generated(tmp_path):
    shutil.copy(RESULTS.parent / NOTES_NAME, tmp_path)
    made = write_readme(RESULTS, tmp_path / "README.md").read_text("utf-8")
    assert made == (ROOT / "benchmarks" / "README.md").read_text("utf-8")


def test_the_table_of_the_front_page_is_generated(tmp_path):
    page = Path(shutil.copy(ROOT / "README.md", tmp_path))
    page.write_text(page.read_text("utf-8").replace("| EdgeSAM .pte", "| an old row"), "utf-8")
    write_front_table(RESULTS, page)
    assert page.read_text("utf-8") == (ROOT / "README.md").read_text("utf-8")


def test_a_page_without_marks_is_left_alone(tmp_path):
    page = tmp_path / "README.md"
    page.write_text("no marks", "utf-8")
    with pytest.raises(ArtifactError, match="benchmarks: begin"):
        write_front_table(RESULTS, page)
    assert page.read_text("utf-8") == "no marks"
