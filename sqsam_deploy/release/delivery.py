"""The verified files of a pull, and the ways to put them into its directory."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from sqsam_deploy.artifact.files import FileEntry, files_in, hash_file
from sqsam_deploy.artifact.manifest import MANIFEST_NAME, ArtifactEntry
from sqsam_deploy.errors import ReleaseError, UsageError
from sqsam_deploy.release.archive import pack
from sqsam_deploy.release.cache import CachedFile
from sqsam_deploy.release.document import RELEASE_NAME, SIGNATURE_NAME
from sqsam_deploy.release.source import OpenedRelease
from sqsam_deploy.runtimes.base import System
from sqsam_deploy.runtimes.registry import all_runtimes


class Delivery:
    """The part of a release that was asked for, and the directory it is laid out in.

    Nothing is written twice: what is there may be a link to a file in the cache.

    Args:
        opened: The verified release.
        artifacts: Those that were selected.
        files: Verified local copies, by path: of the artifacts' files, and of the model card.
        directory: Empty directory to lay it out in.
    """

    def __init__(
        self,
        opened: OpenedRelease,
        artifacts: tuple[ArtifactEntry, ...],
        files: Mapping[str, CachedFile],
        directory: Path,
    ) -> None:
        self.opened = opened
        self.artifacts = artifacts
        self.directory = directory
        self._files = files
        self._digests: dict[str, str] = {}
        self._placed: list[ArtifactEntry] = []

    def artifacts_for(self, system: System) -> list[ArtifactEntry]:
        """The selected artifacts whose runtime is installed here and runs on a system."""
        names = {runtime.name for runtime in all_runtimes() if system in runtime.systems}
        return [each for each in self.artifacts if each.metadata.runtime in names]

    def require_for(self, system: System, place: str) -> list[ArtifactEntry]:
        """The selected artifacts that run on a system; `place` is what a person calls it.

        Raises:
            UsageError: There is none.
        """
        usable = self.artifacts_for(system)
        if not usable:
            offered = " or ".join(each.name for each in all_runtimes() if system in each.systems)
            raise UsageError(
                f"none of the selected artifacts runs {place}: choose --runtime {offered}"
            )
        return usable

    def place(self, artifact: ArtifactEntry, folder: str = "") -> None:
        """Puts an artifact's files below a folder of the directory, under their own names."""
        self._placed.append(artifact)
        for entry in artifact.files:
            with self._new(folder, entry.path) as target:
                self._files[entry.path].place(target)
            self._digests[self._name(target)] = entry.sha256

    def pack(self, artifact: ArtifactEntry) -> None:
        """Puts a package directory into the directory as a zip: `nano-int8.mlpackage.zip`."""
        self._placed.append(artifact)
        files = {entry.path: self._files[entry.path].path for entry in artifact.files}
        with self._new("", f"{artifact.path}.zip") as target:
            pack(files, artifact, target)

    def write(self, path: str, content: bytes) -> None:
        """Writes a file into the directory."""
        with self._new("", path) as target, target.open("xb") as file:
            file.write(content)

    def place_documents(self, folder: str = "") -> None:
        """Puts the release document, its signature, the manifest, the card and the license there.

        The manifest is restricted to what is there, so that the other commands take the
        directory as they take an export.
        """
        manifest = self.opened.manifest.model_copy(
            update={"artifacts": tuple(self._placed), "extra_files": ()}
        )
        documents = {
            RELEASE_NAME: self.opened.document,
            SIGNATURE_NAME: self.opened.signature,
            MANIFEST_NAME: (manifest.model_dump_json(indent=2) + "\n").encode(),
        }
        for name, content in documents.items():
            if content is not None:
                self.write(f"{folder}/{name}" if folder else name, content)
        for text in self.opened.release.texts:
            with self._new(folder, text.path) as target:
                self._files[text.path].copy(target)

    def entries(self) -> tuple[FileEntry, ...]:
        """Every file of the directory; only those made here are hashed again."""
        return tuple(
            FileEntry(
                path=self._name(path),
                bytes=path.stat().st_size,
                sha256=self._digests.get(self._name(path)) or hash_file(path),
            )
            for path in sorted(files_in(self.directory), key=self._name)
        )

    @contextmanager
    def _new(self, folder: str, path: str) -> Iterator[Path]:
        target = self.directory / folder / path
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            yield target
        except (FileExistsError, NotADirectoryError):
            raise ReleaseError(
                f"{self.opened.release.name} is refused: two of its files would be laid out as "
                f"{path}"
            ) from None

    def _name(self, path: Path) -> str:
        return path.relative_to(self.directory).as_posix()
