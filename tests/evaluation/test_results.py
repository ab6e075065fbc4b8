import numpy as np
import pytest

from sqsam_deploy.errors import DataError
from sqsam_deploy.evaluation.results import ObjectResult, read_results, write_results


def _results() -> list[ObjectResult]:
    rng = np.random.default_rng(0)
    return [
        ObjectResult(
            artifact="nano-int8.pte",
            image="7",
            object=str(index),
            category='traffic "light", red',
            area=float(rng.random() * 1e5),
            kind="box",
            prompt="0123456789ab",
            truth="ba9876543210",
            iou=float(rng.random()),
            same_mask_iou=float(rng.random()),
            best_mask=2,
            predicted_iou=float(np.float32(rng.random())),
            agreement=None if index % 2 else float(rng.random()),
            sibling_agreement=None,
        )
        for index in range(20)
    ]


def test_every_digit_comes_back(tmp_path):
    path = tmp_path / "r.csv"
    write_results(path, _results())
    assert read_results(path) == _results()


def test_a_spreadsheet_reads_it_too(tmp_path):
    import csv

    path = tmp_path / "r.csv"
    write_results(path, _results())
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 20
    assert rows[0]["category"] == 'traffic "light", red'
    assert float(rows[3]["iou"]) == _results()[3].iou


@pytest.mark.parametrize(
    ("text", "message"),
    [("a,b\n1,2\n", "no column 'artifact'"), ("", "no column 'artifact'")],
)
def test_another_csv_is_named(tmp_path, text, message):
    path = tmp_path / "r.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        read_results(path)


def test_a_damaged_number_is_named(tmp_path):
    path = tmp_path / "r.csv"
    write_results(path, _results())
    path.write_text(path.read_text().replace(",2,", ",two,", 1))
    with pytest.raises(DataError, match=r"r\.csv is not a per-object results file.*two"):
        read_results(path)


def test_missing_results_are_named(tmp_path):
    with pytest.raises(DataError, match="do not exist"):
        read_results(tmp_path / "none.csv")
