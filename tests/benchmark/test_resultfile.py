import json
from importlib.resources import files

import jsonschema
import pytest

from sqsam_deploy.benchmark.result import BenchmarkResult, Device
from sqsam_deploy.benchmark.resultfile import (
    read_result,
    read_results,
    result_name,
    write_result,
)
from sqsam_deploy.errors import ArtifactError
from tests.benchmark.results import measurement, result, subject


def shipped_schema():
    return json.loads((files("sqsam_deploy.benchmark.schema") / "result-2.json").read_bytes())


def test_shipped_schema_is_that_of_the_model():
    assert shipped_schema() == BenchmarkResult.model_json_schema()


def test_a_written_result_follows_the_schema_and_reads_back(tmp_path):
    written = result(measurement(subject(), 10, load=(3.0,)))
    path = write_result(tmp_path / "new" / "result.json", written)
    jsonschema.validate(json.loads(path.read_text()), shipped_schema())
    assert read_result(path) == written


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.pop("device"), "device"),
        (lambda d: d.update(result_version=3), "install a newer sqsam-deploy"),
        (lambda d: d.update(extra=1), "extra"),
        (lambda d: d["measurements"][0]["stages"]["inference"].update(rounds=[]), "rounds"),
        (lambda d: d["measurements"][0]["stages"]["inference"].update(rounds=[[-1]]), "rounds"),
    ],
)
def test_a_damaged_result_is_refused_by_the_name_of_the_key(tmp_path, change, message):
    path = write_result(tmp_path / "result.json", result(measurement(subject(), 10)))
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))
    with pytest.raises(ArtifactError, match=message):
        read_result(path)


def test_files_are_named_after_the_machine(tmp_path):
    assert result_name(result()) == "test-cpu-2-cores-20260102-030405.json"
    phone = Device(kind="iphone", name="iPhone 15 Pro", system="iOS 18.1", cores=6)
    assert result_name(result(device=phone)) == "iphone-15-pro-20260102-030405.json"


def test_results_come_oldest_first(tmp_path):
    for name, created in (("a", "2026-02-01T00:00:00Z"), ("b", "2026-01-01T00:00:00Z")):
        write_result(tmp_path / f"{name}.json", result(created=created))
    assert [r.created[5:7] for r in read_results(tmp_path)] == ["01", "02"]
