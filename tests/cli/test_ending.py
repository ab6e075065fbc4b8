"""How a command ends: one sentence and an exit code, whatever happens."""

import json
import os
import re
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from sqsam_deploy.cli._app import make_app, run
from sqsam_deploy.datasets import bundled_dataset
from tests.cli.test_output import VERBS
from tests.commands import run_command


def _start(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sqsam_deploy", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def end(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path):
    """Lets a command meet an exception; returns its exit code and what it printed."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setattr(sys, "argv", ["sqsam-inspect"])

    def meet(error: BaseException) -> tuple[int, str]:
        app = make_app("sqsam-inspect", "")

        @app.default
        def fail() -> None:
            raise error

        with pytest.raises(SystemExit) as ended:
            run(app)
        shown = capsys.readouterr()
        assert shown.out == ""
        return ended.value.code, shown.err

    return meet


def test_what_nobody_expected_is_one_sentence_and_a_file_to_report(end, tmp_path: Path) -> None:
    code, said = end(ZeroDivisionError("odd \x1b[31m value"))
    assert code == 70
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    assert "\x1b" not in said
    (report,) = tmp_path.glob("sqsam-error-*.txt")
    assert str(report) in said
    content = report.read_text()
    assert "ZeroDivisionError: odd" in content
    assert "Traceback" in content
    assert "sqsam-deploy" in content


def test_what_nobody_expected_is_said_where_no_file_can_be_written(end, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))
    code, said = end(ZeroDivisionError("odd value"))
    assert code == 70
    assert "ZeroDivisionError: odd value" in said
    assert said.count("\n") == 1


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is full")
@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("predict missing.jpg 2>/dev/full", 3),
        ("predict missing.jpg 2>&-", 3),
        ("export --list-recipes >&-", 0),
        ("export --list-recipes >/dev/full", 3),
    ],
)
def test_streams_that_take_nothing_do_not_change_what_exit_codes_mean(
    words: str, code: int
) -> None:
    done = subprocess.run(f"{sys.executable} -m sqsam_deploy {words}", shell=True, check=False)
    assert done.returncode == code


@pytest.mark.parametrize(
    ("module", "named"),
    [
        ("model_signing", '".[release]"'),
        ("OpenSSL", '".[release]"'),
        ("cyclonedx.model", '".[release]"'),
        ("starlette", '".[demo]"'),
        ("timm", '".[peers]"'),
        ("s3fs", '".[s3]"'),
        ("faster_coco_eval", '".[eval]"'),
        ("onnxruntime", "constraints.txt ."),
        ("gcsfs", "pip install gcsfs"),
    ],
)
def test_a_missing_package_is_named_with_what_brings_it(end, module: str, named: str) -> None:
    code, said = end(ModuleNotFoundError(f"No module named '{module}'", name=module))
    assert code == 3
    assert named in said
    assert said.count("\n") == 1


def test_a_missing_module_of_this_package_is_unexpected(end) -> None:
    assert end(ModuleNotFoundError("x", name="sqsam_deploy.gone"))[0] == 70


def test_the_operating_systems_words_are_kept(end) -> None:
    code, said = end(OSError(28, "No space left on device", "weights.pt"))
    assert code == 3
    assert "weights.pt cannot be used: No space left on device" in said
    _, said = end(OSError(21, "Is a directory", ".mask.png.partial", None, "mask.png"))
    assert "mask.png cannot be used: Is a directory" in said


def test_interrupting_is_quiet(end) -> None:
    assert end(KeyboardInterrupt()) == (130, "")


def test_a_pipe_that_nobody_reads_is_quiet() -> None:
    entry = [sys.executable, "-m", "sqsam_deploy", "export", "--help"]
    running = subprocess.Popen(entry, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert running.stdout and running.stderr
    running.stdout.close()
    assert running.stderr.read() == ""
    assert running.wait(60) == 141


@pytest.mark.parametrize("verb", VERBS)
def test_help_explains_every_option(verb: str) -> None:
    wide = {"COLUMNS": "400"}
    shown = run_command(verb, "-h", environment=wide)
    assert shown.code == 0
    assert shown.stdout == run_command(verb, "--help", environment=wide).stdout
    assert f"Usage: sqsam-{verb} " in shown.stdout
    assert "Exit codes" in shown.stdout
    rows = [line.strip("│ ") for line in shown.stdout.splitlines() if line.startswith("│")]
    options = [row for row in rows if re.match(r"(\*\s+)?-", row)]
    assert "--install-completion" in " ".join(options)
    for row in options:
        # A name, then its text after two blanks at least.
        assert re.match(r"(\*\s+)?\S.*?\s{2,}\S", row), row
    assert "<bool>" not in shown.stdout


#: Packages that a process has loaded, those that every process has apart.
_LOADED = (
    "import sys\n"
    "tops = {name.partition('.')[0] for name in sys.modules} - sys.stdlib_module_names\n"
    "print('loaded', *sorted(name for name in tops if not name.startswith('_')))\n"
)
#: The help of a command that has nothing of this package in it.
_BARE_HELP = (
    "from cyclopts import App, Parameter, validators\n"
    "app = App(name='x', help_format='markdown', result_action='return_value')\n"
    "app.default(lambda: None)\n"
    "app(['--help'])\n"
)
_HELP = (
    "import contextlib, importlib, sys\n"
    "for verb in sys.argv[1:]:\n"
    "    sys.argv = [f'sqsam-{verb}', '--help']\n"
    "    with contextlib.suppress(SystemExit):\n"
    "        importlib.import_module(f'sqsam_deploy.cli.{verb}').main()\n"
)


def _loaded(code: str, *words: str) -> tuple[set[str], str]:
    """The packages of a process that runs this code, and what it printed before."""
    command = [sys.executable, "-c", code + _LOADED, *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    shown, _, names = done.stdout.rpartition("loaded ")
    return set(names.split()), shown


def test_help_loads_nothing_but_what_shows_it() -> None:
    """All of the time that it takes is imports: torch alone would be two seconds."""
    loaded, shown = _loaded(_HELP, *VERBS)
    assert all(f"Usage: sqsam-{verb} " in shown for verb in VERBS)
    assert loaded - _loaded(_BARE_HELP)[0] == {"sqsam_deploy"}


@pytest.mark.parametrize("verb", VERBS)
def test_version(verb: str) -> None:
    assert re.fullmatch(r"sqsam-deploy \d+\.\d+\.\d+\S*\n", run_command(verb, "--version").stdout)


def test_a_wrong_option_is_one_sentence() -> None:
    for words in (("inspect",), ("inspect", "a", "b"), ("export", "--sede", "3")):
        done = run_command(*words)
        assert done.code == 2
        assert done.stderr.startswith("error: ")
        assert done.stderr.count("\n") == 1


def test_without_a_command_all_are_listed() -> None:
    shown = _start()
    assert shown.returncode == 0
    assert all(f"  {verb} " in shown.stdout for verb in VERBS)
    assert _start("nothing").returncode == 2


def test_of_an_option_that_is_given_twice_the_last_counts(tmp_path: Path) -> None:
    done = run_command("pull", "list", "--store", tmp_path / "a", "--store", tmp_path / "b")
    assert str(tmp_path / "b") in done.stderr
    assert str(tmp_path / "a") not in done.stderr


@pytest.mark.slow
def test_warnings_of_dependencies_neither_show_nor_end_a_command(
    nano_export: Path, tmp_path: Path
) -> None:
    photo = next(iter(bundled_dataset("sample"))).path
    code = (
        "import sys\n"
        "from sqsam_deploy.cli._app import exit_code\n"
        "from sqsam_deploy.cli.predict import app\n"
        "files, options = sys.argv[1:4], sys.argv[4:]\n"
        "for file in files:\n"
        "    sys.argv = ['sqsam-predict', file, *options]\n"
        "    assert exit_code(app) == 0, file\n"
    )
    files = [nano_export / f"nano-int8.{end}" for end in ("pte", "mlpackage", "onnx")]
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, (*files, photo, "--auto", "-o", tmp_path))],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONWARNINGS": "error"},
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout.count("predicted IoU") == len(files)


@pytest.mark.slow
def test_what_a_file_says_cannot_steer_the_terminal(tmp_path: Path) -> None:
    tensor = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}
    header = json.dumps({"\x1b]0;title\x07[red]\x9b31mkey": tensor}).encode()
    path = tmp_path / "x\x1b[31m.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(4))
    done = run_command("inspect", path)
    assert done.code == 3
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", done.stdout + done.stderr)
