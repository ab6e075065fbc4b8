"""`sqsam.lock`: which bytes a project uses, so that the next pull brings the same ones."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from sqsam_deploy._internal.atomic import atomic_write
from sqsam_deploy.artifact.documents import Frozen, load_versioned, validate_document
from sqsam_deploy.artifact.files import FileEntry
from sqsam_deploy.errors import UsageError

LOCK_NAME = "sqsam.lock"
#: The newest `lock_version` this package reads.
LOCK_VERSION = 1


class LockedModel(Frozen):
    """One output directory and what belongs in it.

    Attributes:
        output: Directory, relative to the lock file where it lies below it.
        store: Where it came from, without user name and password.
        release_sha256: Hash of `release.json`, which pins everything else.
        runtime: What was asked for; None is every runtime.
        precision: What was asked for; None is every precision.
        format: Layout of the directory.
        signed_by: Who was proven to have signed it when it was locked.
        files: Every file of the directory that holds, or was made from, the release.
    """

    output: str
    store: str
    name: str
    version: str
    release_sha256: str = Field(pattern="^[0-9a-f]{64}$")
    runtime: str | None
    precision: str | None
    format: str
    signed_by: str | None
    files: tuple[FileEntry, ...]


class Lock(Frozen):
    """The whole file, sorted by output directory."""

    lock_version: Literal[1] = 1
    models: tuple[LockedModel, ...] = ()

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


def update_lock(path: Path, model: LockedModel) -> None:
    """Adds or replaces one entry of the lock file, which appears if there is none."""
    lock = read_lock(path) if path.exists() else Lock()
    content = lock.with_model(model).model_dump_json(indent=2) + "\n"
    atomic_write(path, content.encode())


def locked_output(path: Path, output: Path) -> str:
    """How the lock file at `path` names an output directory: the same on every machine."""
    folder = path.absolute().parent
    try:
        return output.absolute().relative_to(folder).as_posix()
    except ValueError:
        return output.absolute().as_posix()
