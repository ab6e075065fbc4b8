import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from sqsam_deploy._internal.staging import require_writable, staged_directory
from sqsam_deploy.errors import UsageError

MARKER = "manifest.json"


def _content(directory: Path) -> dict[str, str]:
    return {p.name: p.read_text() for p in directory.iterdir()}


def _write(target: Path, text: str) -> None:
    with staged_directory(target, MARKER) as made:
        (made / MARKER).write_text(text)


def test_appears_with_all_its_files(tmp_path: Path) -> None:
    _write(tmp_path / "out", "one")
    assert _content(tmp_path / "out") == {MARKER: "one"}
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_replaces_an_earlier_result(tmp_path: Path) -> None:
    _write(tmp_path / "out", "one")
    _write(tmp_path / "out", "two")
    assert _content(tmp_path / "out") == {MARKER: "two"}
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_replaces_without_the_system_call_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "freebsd")
    _write(tmp_path / "out", "one")
    _write(tmp_path / "out", "two")
    assert _content(tmp_path / "out") == {MARKER: "two"}
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_an_error_leaves_what_stood_there(tmp_path: Path) -> None:
    _write(tmp_path / "out", "one")
    with pytest.raises(RuntimeError), staged_directory(tmp_path / "out", MARKER) as made:
        (made / MARKER).write_text("two")
        raise RuntimeError
    assert _content(tmp_path / "out") == {MARKER: "one"}
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_a_place_that_takes_results_stays_as_it_is(tmp_path: Path) -> None:
    require_writable(tmp_path / "one" / "two")
    require_writable(tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can become somebody else"
)
def test_a_directory_that_may_not_be_written_is_refused() -> None:
    script = (
        "import os, sys; from pathlib import Path\n"
        "from sqsam_deploy._internal.staging import require_writable\n"
        "os.setuid(65534)\n"
        "for path in sys.argv[1:]:\n"
        "    try: require_writable(Path(path))\n"
        "    except PermissionError as error: print(error.strerror, error.filename)"
    )
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        paths = [folder, f"{folder}/new/deeper"]
        command = [sys.executable, "-c", script, *paths]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert done.stdout.splitlines() == [f"Permission denied {path}" for path in paths]
        assert not list(Path(folder).iterdir())


def test_a_directory_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").write_text("meow")
    with pytest.raises(UsageError, match="holds other files"):
        _write(tmp_path / "photos", "one")
    assert _content(tmp_path / "photos") == {"cat.jpg": "meow"}


def test_a_file_in_the_way_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(UsageError, match="is a file"):
        _write(tmp_path / "out", "one")


_WRITER = """
import sys, time
from pathlib import Path
from sqsam_deploy._internal.staging import staged_directory
while True:
    with staged_directory(Path(sys.argv[1]), "manifest.json") as made:
        for i in range(20):
            (made / f"{i}.txt").write_text("x" * 1000)
        (made / "manifest.json").write_text("whole")
"""


def test_killed_at_any_moment_the_directory_is_whole(tmp_path: Path) -> None:
    out = tmp_path / "out"
    for round_ in range(8):
        writer = subprocess.Popen([sys.executable, "-c", _WRITER, str(out)])
        # Different rounds stop at different places of the write loop.
        deadline = time.monotonic() + 20
        while not out.exists() and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(0.004 * round_)
        os.kill(writer.pid, signal.SIGKILL)
        writer.wait()
        assert len(list(out.iterdir())) == 21
    _write(out, "next")
    assert [p.name for p in tmp_path.iterdir()] == ["out"], "left-overs of killed runs are removed"


def test_of_two_runs_at_once_the_last_one_stands(tmp_path: Path) -> None:
    with staged_directory(tmp_path / "out", MARKER) as first:
        (first / MARKER).write_text("one")
        _write(tmp_path / "out", "two")
    assert _content(tmp_path / "out") == {MARKER: "one"}
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_a_link_stays_one_and_the_linked_directory_is_replaced(tmp_path: Path) -> None:
    _write(tmp_path / "real", "one")
    (tmp_path / "current").symlink_to("real")
    _write(tmp_path / "current", "two")
    assert (tmp_path / "current").readlink() == Path("real")
    assert _content(tmp_path / "real") == {MARKER: "two"}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["current", "real"]


def test_a_link_to_a_directory_that_is_not_there_yet_is_followed(tmp_path: Path) -> None:
    (tmp_path / "out").symlink_to(tmp_path / "disk" / "models")
    _write(tmp_path / "out", "one")
    assert _content(tmp_path / "disk" / "models") == {MARKER: "one"}
    assert (tmp_path / "out").is_symlink()


def test_a_name_that_no_file_can_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="NUL"):
        _write(tmp_path / "a\0b", "one")


def test_a_link_to_itself_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").symlink_to("out")
    with pytest.raises(UsageError, match="leads nowhere"):
        _write(tmp_path / "out", "one")
