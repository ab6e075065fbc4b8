"""A full disk: one clear sentence, nothing half visible, and it works once there is room."""

import errno
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from semver import Version

from sqsam_deploy.artifact.manifest import read_manifest, verify_files
from sqsam_deploy.errors import StoreError
from sqsam_deploy.release import store_paths
from sqsam_deploy.release.publish import publish
from sqsam_deploy.release.request import PublishRequest
from sqsam_deploy.release.store import FolderStore
from tests.release.export_builder import ExportBuilder
from tests.release.pulling import bring

V1 = Version(1, 0, 0)
REFERENCE = "squeezesam-nano@1.0.0"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB, where mounting one is permitted."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)]
    if not shutil.which("mount") or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("mounting a file system is not permitted here")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def fill(disk: Path, leave: int) -> Path:
    """Takes all but so many bytes of the disk."""
    ballast = disk / "ballast"
    ballast.write_bytes(b"0" * (shutil.disk_usage(disk).free - leave))
    return ballast


def test_store_on_a_full_disk(small_disk: Path, export: Path) -> None:
    store = FolderStore(small_disk / "store")
    ballast = fill(small_disk, leave=24 << 10)
    with pytest.raises(StoreError, match="cannot be written: No space left on device"):
        publish(store, PublishRequest(export, version=str(V1)))
    assert not (small_disk / "store" / store_paths.record("squeezesam-nano", V1)).exists()
    assert list((small_disk / "store" / ".partial").iterdir()) == []
    ballast.unlink()
    subprocess.run(["mount", "-o", "remount,size=4m", str(small_disk)], check=True)
    assert not publish(store, PublishRequest(export, version=str(V1))).already_there


@pytest.mark.parametrize("full", ["cache", "output"])
def test_pull_to_a_full_disk(full: str, small_disk: Path, export: Path, tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "store")
    publish(store, PublishRequest(export, version=str(V1)))
    places = {"cache": tmp_path / "cache", "output": tmp_path / "out"}
    places[full] = small_disk / full
    ballast = fill(small_disk, leave=16 << 10)
    with pytest.raises(OSError, match="No space left on device") as raised:
        bring(store, places["cache"], REFERENCE, places["output"])
    assert raised.value.errno == errno.ENOSPC
    assert str(small_disk) in raised.value.filename
    assert not places["output"].exists()
    assert not [path for path in small_disk.iterdir() if path.name.startswith(".out")]
    ballast.unlink()
    subprocess.run(["mount", "-o", "remount,size=4m", str(small_disk)], check=True)
    bring(store, places["cache"], REFERENCE, places["output"])
    verify_files(places["output"], read_manifest(places["output"]))


def test_files_cut_short_by_a_limit_never_become_visible(
    build_export: ExportBuilder, tmp_path: Path
) -> None:
    """The same where no disk can be mounted: no file may grow over 4,500 bytes."""
    export = build_export(tmp_path / "export")
    script = (
        "import resource, signal, sys; from pathlib import Path; from semver import Version\n"
        "from sqsam_deploy.release.store import FolderStore\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4500, 4500))\n"
        "from sqsam_deploy.errors import StoreError\n"
        "try:\n"
        "    FolderStore(Path(sys.argv[1])).put_file('blobs/x', Path(sys.argv[2]))\n"
        "except StoreError as error:\n"
        "    print(error)\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "store"), str(export / "nano-int8.pte")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "cannot be written: File too large" in done.stdout
    assert [path for path in (tmp_path / "store").rglob("*") if path.is_file()] == []
