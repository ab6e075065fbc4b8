import re
import sys
from functools import partial

import pytest

from sqsam_deploy.benchmark.resultfile import write_result
from tests.benchmark.results import measurement, result, subject
from tests.commands import run_command


@pytest.fixture
def bench(tmp_path):
    """Runs the command in an empty directory."""
    return partial(run_command, "bench", cwd=tmp_path)


@pytest.fixture
def files(tmp_path):
    """A run at 10 ms, one at 12 ms, and a noisy one."""
    runs = {"base": (10, 0.002), "slow": (12, 0.002), "noisy": (10, 0.6)}
    return {
        name: write_result(
            tmp_path / f"{name}.json", result(measurement(subject(), ms, spread=spread))
        )
        for name, (ms, spread) in runs.items()
    }


@pytest.mark.parametrize(
    ("after", "options", "code", "said"),
    [
        ("base", ["--max-regression", "5%"], 0, ""),
        ("slow", [], 0, ""),
        ("slow", ["--max-regression", "5%"], 3, "compare the directories"),
        ("slow", ["--max-regression", "much"], 2, "--max-regression takes a percentage"),
        ("noisy", ["--max-regression", "5%"], 3, "compare the directories"),
    ],
)
def test_two_files_only_say_what_changed_and_a_file_with_itself_passes(
    files, bench, after, options, code, said
):
    done = bench("compare", files["base"], files[after], *options)
    assert done.code == code
    assert said in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["nowhere"], 3, "no manifest.json"),
        (["nowhere", "--threads", "0"], 2, "--threads takes different numbers"),
        (["compare", "a.json", "b.json"], 3, "a.json does not exist"),
        (["compare", ".", "b.json"], 2, "two directories of artifacts, or two result files"),
        (["compare", ".", "."], 3, "no manifest.json"),
        (["import", "a.json", "--artifacts", "nowhere"], 3, "no manifest.json"),
        (["readme", "--results", "nowhere"], 3, "holds no result file"),
        (["cuda", "--precisions", "fp8"], 2, "unknown precision 'fp8'"),
        (["cuda", "--batches", "x"], 2, "--batches takes whole numbers"),
    ],
)
def test_wrong_input_is_one_sentence(bench, arguments, code, said):
    done = bench(*arguments)
    assert done.code == code
    last = done.stderr.splitlines()[-1]
    assert last.startswith("error: ")
    assert said in last
    assert "Traceback" not in done.stderr


def test_help_names_every_verb(bench):
    shown = bench("--help").stdout
    for verb in ("run", "compare", "import", "cuda", "readme"):
        assert verb in shown


@pytest.mark.skipif(sys.platform == "darwin", reason="a Mac goes on from here")
def test_measuring_a_phone_without_a_mac_says_what_to_do(bench, tmp_path):
    done = bench("ios", tmp_path)
    assert done.code == 3
    assert re.search("Mac with Xcode.*sqsam-bench import", done.stderr)
