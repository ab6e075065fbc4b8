import contextlib
import os
import random
import stat
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from sqsam_deploy.artifact.manifest import ArtifactEntry, read_manifest
from sqsam_deploy.errors import ReleaseError
from sqsam_deploy.release.archive import pack, unpack

PACKAGE = "nano-int8.mlpackage"
WEIGHTS = f"{PACKAGE}/Data/com.apple.CoreML/weights/weight.bin"


@pytest.fixture
def package(export: Path) -> ArtifactEntry:
    return next(a for a in read_manifest(export).artifacts if a.path == PACKAGE)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    path = tmp_path / "unpacked"
    path.mkdir()
    return path


def paths(export: Path, package: ArtifactEntry) -> dict[str, Path]:
    return {entry.path: export / entry.path for entry in package.files}


def add(archive: zipfile.ZipFile, name: str, content: bytes, mode: int = stat.S_IFREG) -> None:
    info = zipfile.ZipInfo(name)
    info.create_system = 3
    info.external_attr = (mode | 0o644) << 16
    archive.writestr(info, content)


def rebuilt(export: Path, package: ArtifactEntry, path: Path) -> zipfile.ZipFile:
    """An archive with every right file in it, still open for more."""
    archive = zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED)
    for entry in package.files:
        archive.write(export / entry.path, entry.path)
    return archive


def test_unpacking_gives_the_packed_files_back(
    export: Path, package: ArtifactEntry, tmp_path: Path, target: Path
) -> None:
    pack(paths(export, package), package, tmp_path / "a.zip")
    unpack(tmp_path / "a.zip", package, target)
    for entry in package.files:
        assert (target / entry.path).read_bytes() == (export / entry.path).read_bytes()
    assert len([path for path in target.rglob("*") if path.is_file()]) == len(package.files)


def test_archive_does_not_depend_on_times_modes_or_order(
    export: Path, package: ArtifactEntry, tmp_path: Path
) -> None:
    pack(paths(export, package), package, tmp_path / "a.zip")
    os.utime(export / WEIGHTS, (1e9, 1e9))
    (export / WEIGHTS).chmod(0o600)
    reordered = package.model_copy(update={"files": package.files[::-1]})
    pack(paths(export, package), reordered, tmp_path / "b.zip")
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_archive_is_a_plain_zip_for_other_tools(
    export: Path, package: ArtifactEntry, tmp_path: Path, target: Path
) -> None:
    pack(paths(export, package), package, tmp_path / "a.zip")
    command = ["python3", "-m", "zipfile", "-e", str(tmp_path / "a.zip"), str(target)]
    subprocess.run(command, check=True)
    assert (target / WEIGHTS).read_bytes() == (export / WEIGHTS).read_bytes()


def test_file_that_changed_since_the_manifest_is_not_packed(
    export: Path, package: ArtifactEntry, tmp_path: Path
) -> None:
    (export / WEIGHTS).write_bytes(b"y" * 4000)
    with pytest.raises(ReleaseError, match=r"weight\.bin changed"):
        pack(paths(export, package), package, tmp_path / "a.zip")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("/etc/cron.d/evil", "is absolute"),
        ("../outside", "climbs out"),
        (f"{PACKAGE}/../../outside", "climbs out"),
        ("..\\outside", "not every file system takes"),
        ("C:\\Windows\\evil", "not every file system takes"),
        (f"{PACKAGE}/./x", "not normalized"),
        (f"{PACKAGE}/extra", "does not list"),
        (WEIGHTS, "twice"),
        (WEIGHTS.upper(), "twice"),
        (f"{WEIGHTS}/below", "twice"),
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_hostile_name_is_refused_before_anything_is_written(
    name: str, reason: str, export: Path, package: ArtifactEntry, tmp_path: Path, target: Path
) -> None:
    with rebuilt(export, package, tmp_path / "a.zip") as archive:
        add(archive, name, b"evil")
    with pytest.raises(ReleaseError, match=reason):
        unpack(tmp_path / "a.zip", package, target)
    assert list(target.rglob("*")) == []


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO])
def test_link_or_device_is_refused(
    kind: int, export: Path, package: ArtifactEntry, tmp_path: Path, target: Path
) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for entry in package.files:
            weights = entry.path == WEIGHTS
            add(archive, entry.path, b"/etc/passwd", kind if weights else stat.S_IFREG)
    with pytest.raises(ReleaseError, match="is a link or a device"):
        unpack(tmp_path / "a.zip", package, target)
    assert list(target.rglob("*")) == []


@pytest.fixture
def bomb(export: Path, package: ArtifactEntry, tmp_path: Path) -> Path:
    """An archive in which the weights are 64 MB of zeros."""
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for entry in package.files:
            content = (export / entry.path).read_bytes()
            archive.writestr(entry.path, b"\0" * (64 << 20) if entry.path == WEIGHTS else content)
    return tmp_path / "a.zip"


def test_bomb_is_refused_by_the_size_it_admits(
    bomb: Path, package: ArtifactEntry, target: Path
) -> None:
    with pytest.raises(
        ReleaseError, match="unpacks to 67108864 bytes where the manifest says 4000"
    ):
        unpack(bomb, package, target)
    assert list(target.rglob("*")) == []


def test_bomb_that_lies_about_its_size_is_stopped(
    bomb: Path, package: ArtifactEntry, target: Path
) -> None:
    content = bomb.read_bytes()
    lie = content.replace((64 << 20).to_bytes(4, "little"), (4000).to_bytes(4, "little"))
    assert lie != content
    bomb.write_bytes(lie)
    with pytest.raises(ReleaseError, match=r"damaged|holds more than|not the file"):
        unpack(bomb, package, target)
    assert sum(path.stat().st_size for path in target.rglob("*") if path.is_file()) < 10_000


def test_swapped_content_is_refused(
    export: Path, package: ArtifactEntry, tmp_path: Path, target: Path
) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for entry in package.files:
            archive.writestr(entry.path, b"z" * entry.bytes)
    with pytest.raises(ReleaseError, match="not the file that the manifest lists"):
        unpack(tmp_path / "a.zip", package, target)


def test_archive_that_lacks_a_file_is_refused(
    export: Path, package: ArtifactEntry, tmp_path: Path, target: Path
) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for entry in package.files[:-1]:
            archive.write(export / entry.path, entry.path)
    with pytest.raises(ReleaseError, match="lacks"):
        unpack(tmp_path / "a.zip", package, target)


@pytest.mark.parametrize(
    "damage", [lambda b: b[:-30], lambda b: b"", lambda b: b"PK" + b[5:], lambda b: b[:200]]
)
def test_damaged_archive_is_refused_in_one_sentence(
    damage: Callable[[bytes], bytes],
    export: Path,
    package: ArtifactEntry,
    tmp_path: Path,
    target: Path,
) -> None:
    pack(paths(export, package), package, tmp_path / "a.zip")
    (tmp_path / "a.zip").write_bytes(damage((tmp_path / "a.zip").read_bytes()))
    with pytest.raises(ReleaseError, match=r"the archive of nano-int8\.mlpackage"):
        unpack(tmp_path / "a.zip", package, target)


def test_no_flipped_bytes_bring_anything_but_the_right_files_or_a_refusal(
    export: Path, package: ArtifactEntry, tmp_path: Path
) -> None:
    pack(paths(export, package), package, tmp_path / "a.zip")
    whole = (tmp_path / "a.zip").read_bytes()
    # Around the headers: everything but the 4,000 bytes of weights.
    places = [n for n in range(len(whole)) if whole.find(b"weight.bin") + 4000 < n or n < 1500]
    dice = random.Random(0)
    unpacked = 0
    for number in range(300):
        content = bytearray(whole)
        content[dice.choice(places)] ^= 1 << dice.randrange(8)
        (tmp_path / "b.zip").write_bytes(content)
        target = tmp_path / f"out{number}"
        target.mkdir()
        with contextlib.suppress(ReleaseError):
            unpack(tmp_path / "b.zip", package, target)
            for entry in package.files:
                assert (target / entry.path).read_bytes() == (export / entry.path).read_bytes()
            unpacked += 1
    # Times and modes may change without harm; sizes, names and checksums may not.
    assert 0 < unpacked < 200
    assert sorted(path.name for path in tmp_path.iterdir() if "out" not in path.name) == [
        "a.zip",
        "b.zip",
        "export",
    ]
