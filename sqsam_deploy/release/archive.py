"""Zip archives of package directories: the same bytes for the same files, and safe to unpack.

Releases of format version 1 hold packages like this; today a pull makes one where it is asked to.
"""

import errno
import hashlib
import stat
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from sqsam_deploy.artifact.files import FileEntry
from sqsam_deploy.artifact.manifest import ArtifactEntry
from sqsam_deploy.artifact.paths import check_relative_path, find_clash
from sqsam_deploy.errors import ReleaseError

#: The earliest time a zip can hold: every entry carries it.
_EPOCH = (1980, 1, 1, 0, 0, 0)
_MODE = stat.S_IFREG | 0o644
_UNIX = 3
_BLOCK = 1 << 20
#: What zipfile and zlib raise over bytes that are no zip, or no longer one.
_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    NotImplementedError,
    EOFError,
    RuntimeError,
    ValueError,
    OverflowError,
)


def pack(files: Mapping[str, Path], artifact: ArtifactEntry, target: Path) -> None:
    """Zips one package directory, paths beginning with its own name.

    Entries are sorted, stored without compression (weights do not compress, and a deflated
    stream differs from one zlib to the next), and carry a fixed time and mode.

    Args:
        files: The local file of every path that the artifact lists.
        artifact: The package.
        target: The zip to make.

    Raises:
        ReleaseError: A file is not, or no longer, the one the manifest lists.
    """
    with zipfile.ZipFile(target, "x", zipfile.ZIP_STORED) as archive:
        for entry in sorted(artifact.files, key=lambda entry: entry.path.encode()):
            info = zipfile.ZipInfo(entry.path, _EPOCH)
            info.create_system = _UNIX
            info.external_attr = _MODE << 16
            info.file_size = entry.bytes
            with files[entry.path].open("rb") as source, archive.open(info, "w") as sink:
                copied = copy_verified(source, sink, entry)
            if not copied:
                raise ReleaseError(f"{entry.path} changed while it was packed: try again")


def unpack(archive: Path, artifact: ArtifactEntry, directory: Path) -> None:
    """Unpacks exactly the files the manifest lists, each compared with its size and hash.

    The whole table of contents is judged before the first byte is written. An entry that is not
    in the manifest, appears twice, is a link, or leaves the directory is refused, and no entry
    is read further than the manifest's size, whatever the archive claims.

    Args:
        archive: A zip.
        artifact: What it must hold, from a manifest that was itself verified.
        directory: Existing directory that the artifact's own path is joined to.

    Raises:
        ReleaseError: The archive is not that, with the reason.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            members = opened.infolist()
            _check_members(members, artifact, archive.name)
            expected = {entry.path: entry for entry in artifact.files}
            for info in members:
                if not info.is_dir():
                    _extract(opened, info, expected[info.filename], directory)
    except _DAMAGED as error:
        raise ReleaseError(f"the archive of {artifact.path} is damaged: {error}") from None
    except OSError as error:
        if error.errno != errno.EINVAL:  # a seek to where no archive reaches
            raise
        raise ReleaseError(f"the archive of {artifact.path} is damaged: {error}") from None


def _check_members(members: list[zipfile.ZipInfo], artifact: ArtifactEntry, source: str) -> None:
    what = f"the archive of {artifact.path}"
    expected = {entry.path: entry for entry in artifact.files}
    files = [info for info in members if not info.is_dir()]
    for info in members:
        _check_member(info, what)
    clash = find_clash(info.filename for info in files)
    if clash is not None:
        raise ReleaseError(f"{what} is refused: it holds {clash!r} twice")
    for info in files:
        entry = expected.get(info.filename)
        if entry is None:
            raise ReleaseError(f"{what} is refused: the manifest does not list {info.filename!r}")
        if info.file_size != entry.bytes:
            raise ReleaseError(
                f"{what} is refused: {info.filename!r} unpacks to {info.file_size} bytes where "
                f"the manifest says {entry.bytes}"
            )
    missing = sorted(expected.keys() - {info.filename for info in files})
    if missing:
        raise ReleaseError(f"{what} is refused: it lacks {missing[0]!r}")


def _check_member(info: zipfile.ZipInfo, what: str) -> None:
    # zipfile turns backslashes into slashes on Windows only and cuts names at NUL.
    name = info.orig_filename.removesuffix("/")
    try:
        check_relative_path(name)
    except ValueError as error:
        raise ReleaseError(f"{what} is refused: {error}") from None
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise ReleaseError(f"{what} is refused: {name!r} is a link or a device")
    if info.flag_bits & 0x1:
        raise ReleaseError(f"{what} is refused: {name!r} is encrypted")


def _extract(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, entry: FileEntry, directory: Path
) -> None:
    target = directory / entry.path
    target.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(info) as source, target.open("xb") as sink:
        copied = copy_verified(source, sink, entry)
    if not copied:
        raise ReleaseError(
            f"{entry.path} in its archive is not the file that the manifest lists "
            "(its SHA-256 differs)"
        )


def copy_verified(source: IO[bytes], sink: IO[bytes], entry: FileEntry) -> bool:
    """Copies at most the expected bytes; says whether they are the ones the entry describes.

    Raises:
        ReleaseError: There are more bytes than the entry says.
    """
    digest = hashlib.sha256()
    left = entry.bytes
    while block := source.read(_BLOCK):
        left -= len(block)
        if left < 0:
            raise ReleaseError(f"{entry.path} holds more than its {entry.bytes} bytes")
        digest.update(block)
        sink.write(block)
    return digest.hexdigest() == entry.sha256
