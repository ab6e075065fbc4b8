"""What is said to surround a package's files is what `zipfile` writes around them."""

import hashlib
import zlib
from itertools import accumulate
from pathlib import Path

import pytest

from sqsam_deploy.artifact.manifest import ArtifactEntry, file_entries, read_manifest
from sqsam_deploy.release.archive import pack
from sqsam_deploy.release.packed import PackedArchive
from sqsam_deploy.release.pieces import PieceSums, RunningSums


@pytest.fixture
def package(export: Path) -> ArtifactEntry:
    """One with an empty file and with a name that is not ASCII."""
    found = next(a for a in read_manifest(export).artifacts if a.is_directory)
    (export / found.path / "empty").touch()
    (export / found.path / "größe.txt").write_text("42")
    return found.model_copy(update={"files": file_entries(export, [export / found.path])})


@pytest.fixture
def packed(export: Path, package: ArtifactEntry, tmp_path: Path) -> bytes:
    pack(export, package, tmp_path / "a.zip")
    return (tmp_path / "a.zip").read_bytes()


def sums_of(content: bytes, sizes: tuple[int, ...]) -> list[PieceSums]:
    """Cut by slicing, hashed piece by piece."""
    ends = accumulate(sizes)
    parts = [content[end - size : end] for end, size in zip(ends, sizes, strict=True)]
    return [PieceSums(hashlib.sha256(part).hexdigest(), zlib.crc32(part)) for part in parts]


def test_packed_archive_is_told_from_its_pieces(package: ArtifactEntry, packed: bytes) -> None:
    expected = PackedArchive(package)
    assert expected.may_have(len(packed))
    assert len(expected.sizes) == 2 * len(package.files) + 1
    assert expected.is_made_of(sums_of(packed, expected.sizes))


def test_no_bit_of_it_may_differ(package: ArtifactEntry, packed: bytes) -> None:
    expected = PackedArchive(package)
    content = bytearray(packed)
    weights = range(1500, 4500)  # two of these stand for all
    for place in set(range(len(packed))) - set(weights) | {1500, 3000}:
        content[place] ^= 1 << place % 8
        assert not expected.is_made_of(sums_of(bytes(content), expected.sizes)), place
        content[place] ^= 1 << place % 8
    assert expected.is_made_of(sums_of(bytes(content), expected.sizes))


def test_archive_of_another_size_or_near_two_gigabytes_is_not_cut(
    package: ArtifactEntry, packed: bytes
) -> None:
    assert not PackedArchive(package).may_have(len(packed) + 1)
    large = package.files[0].model_copy(update={"bytes": 5 << 30})
    huge = PackedArchive(package.model_copy(update={"files": (large,)}))
    assert not huge.may_have(len(packed))
    assert not huge.may_have(6 << 30)


@pytest.mark.parametrize("block", [1, 7, 1000, 100_000])
def test_running_sums_do_not_depend_on_how_the_bytes_come(
    block: int, package: ArtifactEntry, packed: bytes
) -> None:
    sizes = PackedArchive(package).sizes
    sums = RunningSums(sizes)
    for start in range(0, len(packed), block):
        sums.update(packed[start : start + block])
    assert list(sums.finish()) == sums_of(packed, sizes)
