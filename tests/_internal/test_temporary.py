"""Leftovers of killed runs are removed by the next one, and nothing else is."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sqsam_deploy._internal.temporary import remove_abandoned, scratch_directory

_HOLDER = """
import sys, tempfile
from pathlib import Path
from sqsam_deploy._internal.temporary import scratch_directory, temporary_directory, temporary_file
tempfile.tempdir = sys.argv[1]
with scratch_directory("test"), temporary_file(Path(sys.argv[1]), "a"):
    with temporary_directory(Path(sys.argv[1]), "b"):
        print("ready", flush=True)
        sys.stdin.read()
"""


def hold(folder: Path) -> subprocess.Popen[str]:
    """A process that has one of each kind in a folder."""
    command = [sys.executable, "-c", _HOLDER, str(folder)]
    held = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert held.stdout is not None
    assert held.stdout.readline() == "ready\n"
    return held


@pytest.fixture
def temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def test_what_a_killed_run_left_is_removed_by_the_next_one(temporary_folder: Path) -> None:
    held = hold(temporary_folder)
    with scratch_directory("test"):
        assert len(list(temporary_folder.iterdir())) == 4, "those of the living stay"
    held.kill()
    held.wait()
    assert len(list(temporary_folder.iterdir())) == 3
    with scratch_directory("other") as own:
        remove_abandoned(temporary_folder)
        assert list(temporary_folder.iterdir()) == [own]


def test_those_of_a_process_in_another_container_stay_while_it_lives(
    temporary_folder: Path,
) -> None:
    """Its number means nothing here; its lock does."""
    held = hold(temporary_folder)
    for path in list(temporary_folder.iterdir()):
        renamed = path.rename(path.with_name(path.name.replace(str(held.pid), "999999999")))
        os.utime(renamed, (0, 0))
    remove_abandoned(temporary_folder)
    assert len(list(temporary_folder.iterdir())) == 3
    held.kill()
    held.wait()
    remove_abandoned(temporary_folder)
    assert list(temporary_folder.iterdir()) == []


def test_files_of_any_other_name_stay(temporary_folder: Path) -> None:
    for name in (".config.12345.bak", "sqsam-notes", ".a.partial-x.1.backup", "host.1.0123abcd"):
        (temporary_folder / name).write_text("mine")
        os.utime(temporary_folder / name, (0, time.time() - 1e6))
    remove_abandoned(temporary_folder)
    assert len(list(temporary_folder.iterdir())) == 4
