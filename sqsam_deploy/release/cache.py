"""Files by their content on this machine: downloaded once, verified at every use.

blobs/sha256/ab/abcd…    whole files; of a package directory its files, not the archive they came in
partial/abcd…            what a cut-off download left; the next one goes on from there
records/STORE/…          which files a version has, and what tags last named, for offline use
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqsam_deploy._internal.atomic import atomic_write
from sqsam_deploy.artifact.files import FileEntry, hash_bytes, hash_file
from sqsam_deploy.artifact.manifest import ArtifactEntry
from sqsam_deploy.errors import MissingDependencyError, ReleaseError
from sqsam_deploy.release import layout
from sqsam_deploy.release.archive import unpack
from sqsam_deploy.release.download import Advance, download
from sqsam_deploy.release.packed import PackedArchive
from sqsam_deploy.release.pieces import Pieces
from sqsam_deploy.release.store import Store

#: Environment variable that moves the cache.
CACHE_VARIABLE = "SQSAM_CACHE"


def default_cache() -> Path:
    """`$SQSAM_CACHE`, or this user's cache directory for this program."""
    from platformdirs import user_cache_path

    override = os.environ.get(CACHE_VARIABLE)
    return Path(override) if override else user_cache_path("sqsam", appauthor=False)


class Cache:
    """A directory of verified files; several processes may use it at once."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()

    def fetch(self, store: Store, entry: FileEntry, advance: Advance) -> Path:
        """A local file with exactly these bytes, from the cache or from the store.

        Args:
            store: Where to get what is missing.
            entry: The file, by hash and size.
            advance: Told how many bytes came closer.

        Raises:
            ReleaseError: The store's file is not the one the entry describes.
            StoreError: The store cannot be reached; what came so far is kept.
        """
        with self._lock(entry.sha256):
            return self._fetch(store, entry, advance)

    def fetch_package(
        self, store: Store, archive: FileEntry, artifact: ArtifactEntry, advance: Advance
    ) -> dict[str, Path]:
        """A local, verified copy of every file of a package directory, by its path.

        Args:
            store: Where to get what is missing.
            archive: The zip that holds the package, by hash and size.
            artifact: What is in it, from a manifest that was itself verified.
            advance: Told how many bytes of the archive came closer.

        Raises:
            ReleaseError: The archive is not that, holds anything else, or is damaged.
            StoreError: The store cannot be reached; what came so far is kept.
        """
        files = {entry.path: self._blob(entry) for entry in artifact.files}
        with self._lock(archive.sha256):
            if all(_holds(files[entry.path], entry) for entry in artifact.files):
                advance(archive.bytes)
            elif not self._fetch_in_pieces(store, archive, artifact, advance):
                self._fetch_and_unpack(store, archive, artifact, advance)
        return files

    def document(self, store: Store, digest: str, limit: int) -> bytes:
        """A small file of unknown size, by its hash.

        Raises:
            ReleaseError: The store's bytes have another hash.
            StoreError: The store cannot be reached, or the file has more than `limit` bytes.
        """
        target = self.root / layout.blob(digest)
        if target.is_file():
            content = target.read_bytes()
            if hash_bytes(content) == digest:
                return content
        content = store.read(layout.blob(digest), limit)
        if hash_bytes(content) != digest:
            raise ReleaseError(_not_the_file(store, digest))
        self._put(target, content)
        return content

    def remember(self, store: Store, path: str, content: bytes) -> None:
        """Keeps a record or a tag for when the store cannot be reached."""
        target = self._record(store, path)
        target.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(target, content)

    def recall(self, store: Store, path: str) -> bytes | None:
        """What was kept under this path of this store, or None."""
        try:
            return self._record(store, path).read_bytes()
        except FileNotFoundError:
            return None

    def _record(self, store: Store, path: str) -> Path:
        return self.root / "records" / hash_bytes(store.url.encode())[:16] / path

    def _blob(self, entry: FileEntry) -> Path:
        return self.root / layout.blob(entry.sha256)

    def _put(self, target: Path, content: bytes) -> None:
        """Not synced: one that a power cut damaged is told by its hash, and fetched again."""
        partial = self.root / "partial" / f"{target.name}.{os.getpid()}"
        partial.parent.mkdir(parents=True, exist_ok=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            partial.write_bytes(content)
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)

    def _partial(self, entry: FileEntry, suffix: str = "") -> Path:
        return self.root / "partial" / f"{entry.sha256}{suffix}"

    def _fetch(self, store: Store, entry: FileEntry, advance: Advance) -> Path:
        target = self._blob(entry)
        if _holds(target, entry):
            advance(entry.bytes)
            return target
        target.unlink(missing_ok=True)
        pieces = Pieces([self._partial(entry)], [entry.bytes])
        if not download(store, entry, pieces, lambda sums: sums[0].sha256 == entry.sha256, advance):
            raise ReleaseError(_not_the_file(store, entry.sha256, entry.path))
        _keep(pieces.paths[0], target)
        return target

    def _fetch_in_pieces(
        self, store: Store, archive: FileEntry, artifact: ArtifactEntry, advance: Advance
    ) -> bool:
        """Downloads an archive as the files in it; False where it is not one that `pack` makes.

        A plain zip of uncompressed files holds each of them as it is: what comes only has to be
        cut at the right places, and no byte is written or hashed a second time. The files are
        compared with the manifest's hashes, and all the rest of the archive, byte by byte, with
        what belongs around these files; that nobody needs to parse it.
        """
        packed = PackedArchive(artifact)
        if not packed.may_have(archive.bytes) or self._blob(archive).is_file():
            return False
        sizes = packed.sizes
        paths = [self._partial(archive, f".{number}") for number in range(len(sizes))]
        pieces = Pieces(paths, sizes)
        if not download(store, archive, pieces, packed.is_made_of, advance):
            return False
        for path, entry in zip(paths[1::2], packed.files, strict=True):
            _keep(path, self._blob(entry))
        pieces.remove()
        return True

    def _fetch_and_unpack(
        self, store: Store, archive: FileEntry, artifact: ArtifactEntry, advance: Advance
    ) -> None:
        """The way for any zip: as a whole, and then its files out of it."""
        whole = self._fetch(store, archive, advance)
        folder = self._partial(archive, ".unpacked")
        shutil.rmtree(folder, ignore_errors=True)  # of a killed pull
        try:
            folder.mkdir(parents=True)
            unpack(whole, artifact, folder)
            for entry in artifact.files:
                _keep(folder / entry.path, self._blob(entry))
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        whole.unlink()

    @contextmanager
    def _lock(self, digest: str) -> Iterator[None]:
        """Two pulls of one file take turns; a killed one's lock is the system's to release."""
        try:
            from filelock import FileLock
        except ImportError:
            raise MissingDependencyError(
                "releases need the package 'filelock': pip install 'sqsam-deploy[release]'"
            ) from None
        folder = self.root / "locks"
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / digest):
            yield


def _keep(path: Path, target: Path) -> None:
    """Moves a verified file to its place. Pulled directories link to it: it becomes read-only."""
    target.parent.mkdir(parents=True, exist_ok=True)
    path.replace(target)
    # Not before: what a pull killed in between left could not be opened for writing.
    target.chmod(0o444)


def _holds(path: Path, entry: FileEntry) -> bool:
    if not path.is_file() or path.stat().st_size != entry.bytes:
        return False
    return hash_file(path) == entry.sha256


def _not_the_file(store: Store, digest: str, name: str = "a document") -> str:
    return (
        f"{name} in {store.url} is not the file that was published (its SHA-256 is not "
        f"{digest[:12]}…): it is refused"
    )
