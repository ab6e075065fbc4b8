"""Files by their hash: listing them, comparing them, `SHA256SUMS`."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

from pydantic import Field

from sqsam_deploy.artifact.documents import Frozen
from sqsam_deploy.artifact.paths import RelativePath
from sqsam_deploy.errors import ArtifactError

#: A SHA-256 in lower-case hex.
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class FileEntry(Frozen):
    """One file: POSIX path relative to the manifest, size in bytes, SHA-256 in lower-case hex."""

    path: RelativePath
    bytes: int = Field(ge=0)
    sha256: Sha256


def require_file(path: Path) -> None:
    """Sees that an artifact of one file is there.

    Raises:
        ArtifactError: It is not, or is a directory.
    """
    if path.is_dir():
        raise ArtifactError(f"{path} is a directory: name the file itself")
    if not path.is_file():
        raise ArtifactError(f"{path} does not exist")


def sums_text(digests: dict[str, str]) -> str:
    """`SHA256SUMS` of path -> digest, sorted by path as bytes; `sha256sum -c` reads it."""
    ordered = sorted(digests, key=str.encode)
    return "".join(f"{digests[path]}  {path}\n" for path in ordered)


def hash_bytes(content: bytes) -> str:
    """SHA-256 of some bytes, in lower-case hex."""
    return hashlib.sha256(content).hexdigest()


def hash_file(path: Path) -> str:
    """SHA-256 of a file's bytes, in lower-case hex."""
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def file_entries(directory: Path, paths: Iterable[Path]) -> tuple[FileEntry, ...]:
    """Entries of files, and of every file in directories, sorted by path.

    Args:
        directory: What the entries' paths are relative to.
        paths: Files or directories inside it.

    Raises:
        ArtifactError: One of them is a link or a device.
    """
    files = (file for path in paths for file in files_in(path))
    return tuple(
        FileEntry(
            path=file.relative_to(directory).as_posix(),
            bytes=file.stat().st_size,
            sha256=hash_file(file),
        )
        for file in sorted(files, key=lambda file: file.as_posix().encode())
    )


def files_in(path: Path) -> list[Path]:
    """The path itself, or every file below it.

    Raises:
        ArtifactError: One of them is a link or a device.
    """
    found = [path, *path.rglob("*")] if path.is_dir() else [path]
    for file in found:
        if file.is_symlink() or not (file.is_file() or file.is_dir()):
            raise ArtifactError(f"{file} is not a plain file: links and devices are not published")
    return [file for file in found if file.is_file()]


def verify_file(directory: Path, entry: FileEntry) -> None:
    """Compares one file with its entry.

    Raises:
        ArtifactError: It is missing, no plain file, of another size, or of another hash.
    """
    path = directory / entry.path
    if path.is_symlink() or not path.is_file():
        raise ArtifactError(f"{path} is listed in the manifest and is not there as a plain file")
    size = path.stat().st_size
    if size != entry.bytes:
        raise ArtifactError(
            f"{path} has {size} bytes where the manifest says {entry.bytes}: export it again"
        )
    if hash_file(path) != entry.sha256:
        raise ArtifactError(
            f"{path} is not the file that the manifest lists (its SHA-256 differs): export it again"
        )
