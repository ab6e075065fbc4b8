import subprocess
import sys

import numpy as np
import pytest

from sqsam_deploy.benchmark.noise import concluded
from sqsam_deploy.benchmark.result import (
    BenchmarkResult,
    Device,
    Environment,
    Measurement,
    Method,
    Setup,
    Subject,
    Timing,
)
from sqsam_deploy.benchmark.resultfile import write_result
from sqsam_deploy.cli.bench import main


def _run(ms, spread):
    """A finished run with one artifact: twelve rounds of five samples around `ms`."""
    samples = ms * np.exp(spread * np.random.default_rng(0).standard_normal((12, 5)))
    of = Subject(name="nano-int8.pte", role="artifact", runtime="executorch", precision="int8")
    stages = {"inference": Timing(rounds=samples.tolist())}
    row = Measurement(subject=of, setup=Setup(threads=2), stages=stages)
    return BenchmarkResult(
        created="2026-01-02T03:04:05Z",
        tool="test",
        device=Device(kind="cpu", name="Test CPU", system="Linux 6", cores=2),
        environment=Environment(),
        method=Method(rounds=12, interleaved=True),
        measurements=concluded([row], Environment()),
    )


@pytest.fixture
def bench(monkeypatch, tmp_path):
    """Runs the command in an empty directory and returns its exit code."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["sqsam-bench", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code or 0

    return call


@pytest.fixture
def files(tmp_path):
    """A run at 10 ms, one at 12 ms, and a noisy one."""
    runs = {"base": (10, 0.002), "slow": (12, 0.002), "noisy": (10, 0.6)}
    return {
        name: write_result(tmp_path / f"{name}.json", _run(ms, spread))
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
    files, bench, capsys, after, options, code, said
):
    assert bench("compare", files["base"], files[after], *options) == code
    assert said in capsys.readouterr().err


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
def test_wrong_input_is_one_sentence(bench, capsys, arguments, code, said):
    assert bench(*arguments) == code
    error = capsys.readouterr().err
    assert error.splitlines()[-1].startswith("error: ")
    assert said in error.splitlines()[-1]
    assert "Traceback" not in error


def test_help_names_every_verb(bench, capsys):
    assert bench("--help") == 0
    shown = capsys.readouterr().out
    for verb in ("run", "compare", "import", "cuda", "readme"):
        assert verb in shown


def test_the_command_line_itself_imports_nothing_heavy():
    heavy = "import sys, sqsam_deploy.cli.bench; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", heavy], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.skipif(sys.platform == "darwin", reason="a Mac goes on from here")
def test_measuring_a_phone_without_a_mac_says_what_to_do(bench, tmp_path, capsys):
    assert bench("ios", tmp_path) == 3
    assert capsys.readouterr().err == (
        "error: an iPhone is measured from a Mac with Xcode, and this is Linux: run the app there "
        "and take its file in with sqsam-bench import\n"
    )
