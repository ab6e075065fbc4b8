"""What a layout is given: verified files, and how to put an artifact somewhere."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from sqsam_deploy.artifact.files import FileEntry, files_in, hash_file
from sqsam_deploy.artifact.manifest import ArtifactEntry, write_manifest
from sqsam_deploy.release.document import CARD_NAME, RELEASE_NAME, SIGNATURE_NAME
from sqsam_deploy.release.source import OpenedRelease


class Delivery:
    """The part of a release that was asked for, and the directory it is laid out in.

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
        files: Mapping[str, Path],
        directory: Path,
    ) -> None:
        self.opened = opened
        self.artifacts = artifacts
        self.directory = directory
        self._files = files
        self._digests: dict[str, str] = {}

    def place(self, artifact: ArtifactEntry, folder: str = "") -> Path:
        """Links an artifact's files under its own name and returns its path.

        Args:
            artifact: One of the selected ones.
            folder: Where below the directory.
        """
        parent = self.directory / folder
        for entry in artifact.files:
            target = parent / entry.path
            target.parent.mkdir(parents=True, exist_ok=True)
            _link_or_copy(self._files[entry.path], target)
            self._digests[self._name(target)] = entry.sha256
        return parent / artifact.path

    def place_documents(self, folder: str = "") -> None:
        """Writes the release document, its signature, the manifest and the model card.

        The manifest is restricted to what is there, so that the other commands take the
        directory as they take an export.
        """
        parent = self.directory / folder
        parent.mkdir(parents=True, exist_ok=True)
        (parent / RELEASE_NAME).write_bytes(self.opened.document)
        if self.opened.signature is not None:
            (parent / SIGNATURE_NAME).write_bytes(self.opened.signature)
        restricted = {"artifacts": self.artifacts, "extra_files": ()}
        write_manifest(parent, self.opened.manifest.model_copy(update=restricted))
        shutil.copyfile(self._files[CARD_NAME], parent / CARD_NAME)

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

    def _name(self, path: Path) -> str:
        return path.relative_to(self.directory).as_posix()


def _link_or_copy(cached: Path, target: Path) -> None:
    """A hard link to the read-only file in the cache, a copy where links do not reach.

    Copying would write every byte a second time, and half of a pull's time is writing.
    """
    try:
        target.hardlink_to(cached)
    except OSError:
        shutil.copyfile(cached, target)
