"""`sqsam.lock`: which bytes a project uses, so that the next pull brings the same ones."""

import contextlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, PlainSerializer, field_validator
from semver import Version

from sqsam_deploy._internal.atomic import atomic_write
from sqsam_deploy.artifact.documents import Frozen, load_versioned, validate_document
from sqsam_deploy.artifact.files import FileEntry, Sha256
from sqsam_deploy.artifact.paths import RelativePath, check_relative_path
from sqsam_deploy.errors import UsageError
from sqsam_deploy.release.version import ModelName, VersionText

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

LOCK_NAME = "sqsam.lock"
#: The newest `lock_version` this package reads.
LOCK_VERSION = 1


def _read_names(stored: object) -> object:
    return () if stored is None else (stored,) if isinstance(stored, str) else stored


def _written_names(names: tuple[str, ...]) -> tuple[str, ...] | str | None:
    return names if len(names) > 1 else next(iter(names), None)


#: Names as files had them when only one could be asked for: null, a name, or a list of several.
_Asked = Annotated[tuple[str, ...], BeforeValidator(_read_names), PlainSerializer(_written_names)]


class LockedModel(Frozen):
    """One output directory and what belongs in it.

    Attributes:
        output: Directory, relative to the lock file's own, below which it lies.
        store: Where it came from, without user name and password.
        release_sha256: Hash of `release.json`, which pins everything else.
        runtime: What was asked for; empty is every runtime.
        precision: What was asked for; empty is every precision.
        format: Form of the directory.
        signed_by: Who was proven to have signed it when it was locked.
        files: Every file of the directory that holds, or was made from, the release.
    """

    output: RelativePath
    store: str
    name: ModelName
    version: VersionText
    release_sha256: Sha256
    runtime: _Asked
    precision: _Asked
    format: str
    signed_by: str | None
    files: tuple[FileEntry, ...]


class Lock(Frozen):
    """The whole file, sorted by output directory."""

    lock_version: Literal[1] = 1
    models: tuple[LockedModel, ...] = ()

    @field_validator("models")
    @classmethod
    def _one_entry_each(cls, models: tuple[LockedModel, ...]) -> tuple[LockedModel, ...]:
        """A merge of two lock files can leave two entries, of which the last would win."""
        for first, second in pairwise(sorted(model.output for model in models)):
            if first == second:
                raise ValueError(f"the output {first!r} is there twice")
        return models

    def with_model(self, model: LockedModel) -> "Lock":
        """The lock with this entry in place of the one of the same output directory."""
        others = [known for known in self.models if known.output != model.output]
        ordered = sorted((*others, model), key=lambda known: known.output)
        return Lock(models=tuple(ordered))


def read_lock(path: Path) -> Lock:
    """The lock file.

    Raises:
        UsageError: There is none.
        ArtifactError: It is damaged, or a newer package wrote it.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise UsageError(f"{path} does not exist: pull without --locked first") from None
    document = load_versioned(content, str(path), "lock_version", LOCK_VERSION)
    return validate_document(Lock, document, str(path))


def newest_pinned(path: Path, store: str, name: str) -> Version | None:
    """The highest released version of a model that the lock file has from a store.

    Raises:
        ArtifactError: The file that is there is damaged, or a newer package wrote it.
    """
    models = read_lock(path).models if path.exists() else ()
    pinned = (Version.parse(m.version) for m in models if (m.store, m.name) == (store, name))
    return max((version for version in pinned if version.prerelease is None), default=None)


def update_lock(path: Path, model: LockedModel) -> None:
    """Adds or replaces one entry of the lock file, which appears if there is none.

    Of several processes that do so at once each adds to what the others wrote.

    Raises:
        ArtifactError: The file that is there is damaged, or a newer package wrote it.
    """
    with _turn(path):
        lock = read_lock(path) if path.exists() else Lock()
        content = lock.with_model(model).model_dump_json(indent=2) + "\n"
        atomic_write(path, content.encode())


@contextmanager
def _turn(path: Path) -> Iterator[None]:
    """One process at a time changes the lock file; a killed one's turn ends with it.

    The folder's own lock is taken, so that nothing is left beside the file.
    """
    from filelock import FileLock

    folder = Path(os.path.realpath(path)).parent
    if fcntl is None:
        with FileLock(folder / f".{path.name}.turn"):
            yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # some network file systems have no such locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def locked_output(path: Path, output: Path) -> str | None:
    """How the lock file at `path` names an output directory: the same on every machine.

    None where the directory does not lie below the lock file's, so that it cannot be pinned.
    """
    folder = path.absolute().parent
    try:
        return check_relative_path(
            Path(os.path.normpath(output.absolute())).relative_to(folder).as_posix()
        )
    except ValueError:
        return None


def output_of(path: Path, model: LockedModel) -> Path:
    """The directory that an entry of the lock file at `path` names.

    Raises:
        UsageError: A link leads out of the lock file's directory, which no entry may leave.
    """
    folder = path.absolute().parent
    output = folder / model.output
    if not Path(os.path.realpath(output)).is_relative_to(os.path.realpath(folder)):
        raise UsageError(
            f"{path} has the output {model.output!r}, and a link leads from there out of {folder}: "
            "remove the link, or pull with --output"
        )
    return output
