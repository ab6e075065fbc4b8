import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from semver import Version

from sqsam_deploy.artifact.files import hash_bytes
from sqsam_deploy.artifact.manifest import read_manifest, verify_files
from sqsam_deploy.errors import ArtifactError, ReleaseError, StoreError, UsageError
from sqsam_deploy.release import store_paths
from sqsam_deploy.release.cache import Cache
from sqsam_deploy.release.catalog import read_record
from sqsam_deploy.release.document import release_bytes
from sqsam_deploy.release.lock import LockedModel
from sqsam_deploy.release.publish import publish
from sqsam_deploy.release.pull import Pulled, pull, pull_locked
from sqsam_deploy.release.request import PublishRequest, PullRequest
from sqsam_deploy.release.source import OfflineStore, Source
from sqsam_deploy.release.store import FolderStore, Store, open_store
from tests.release.export_builder import ExportBuilder
from tests.release.http_server import RangeServer
from tests.release.release_keys import Keys

NAME = "squeezesam-nano"
GOLDEN = Path(__file__).parent / "golden"
WEIGHTS = "nano-int8.mlpackage/Data/com.apple.CoreML/weights/weight.bin"


class Bytes:
    """Adds up what a pull says of its progress."""

    def __init__(self) -> None:
        self.total = self.done = 0

    def __call__(self, what: str, total: int) -> Callable[[int], None]:
        self.total += total
        return self._advance

    def _advance(self, count: int) -> None:
        self.done += count


@pytest.fixture(scope="session")
def published(
    build_export: ExportBuilder, keys: Keys, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A store with two signed versions; `stable` is the first."""
    folder = tmp_path_factory.mktemp("published")
    store = FolderStore(folder / "store")
    for seed, version in enumerate(("1.0.0", "1.1.0")):
        export = build_export(folder / f"export-{version}", seed=seed)
        tags = ("stable",) if version == "1.0.0" else ()
        request = PublishRequest(export, version=version, tags=tags, sign_key=keys.private)
        publish(store, request)
    return folder


@pytest.fixture
def store(published: Path, tmp_path: Path) -> FolderStore:
    """A copy of it that a test may damage."""
    shutil.copytree(published / "store", tmp_path / "store")
    return FolderStore(tmp_path / "store")


@pytest.fixture
def old_store(tmp_path: Path) -> FolderStore:
    """One of format version 1, where a package directory is a zip."""
    shutil.copytree(GOLDEN / "v1" / "store", tmp_path / "old-store")
    return FolderStore(tmp_path / "old-store")


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


def bring(
    store: Store, cache: Cache, output: Path, reference: str = f"{NAME}@1.0.0", **options: object
) -> Pulled:
    request = PullRequest(reference, output=output, **options)  # type: ignore[arg-type]
    return pull(Source(store, cache, lambda message: None), request, Bytes())


def blob_of(store: FolderStore, file: str, version: str = "1.0.0") -> Path:
    record = read_record(store, NAME, Version.parse(version))
    assert record is not None
    return Path(store.url) / store_paths.blob(record[file])


def files_of(directory: Path) -> dict[str, bytes]:
    return {
        path.relative_to(directory).as_posix(): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file()
    }


def test_pulled_artifacts_are_the_exported_ones(
    store: FolderStore, cache: Cache, published: Path, tmp_path: Path
) -> None:
    bring(store, cache, tmp_path / "out")
    exported, pulled = files_of(published / "export-1.0.0"), files_of(tmp_path / "out")
    for path, content in exported.items():
        if path not in ("parity.json", "report.html"):
            assert pulled[path] == content
    assert set(pulled) - set(exported) == {
        "LICENSE.md",
        "README.md",
        "release.json",
        "release.json.sig",
        ".sqsam-pull.json",
    }


@pytest.mark.parametrize(
    ("reference", "version"),
    [(NAME, "1.1.0"), (f"{NAME}@latest", "1.1.0"), (f"{NAME}@stable", "1.0.0")],
)
def test_tags_name_versions(
    reference: str, version: str, store: FolderStore, cache: Cache, tmp_path: Path
) -> None:
    assert bring(store, cache, tmp_path / "out", reference).release.version == version


def test_only_what_was_selected_is_fetched(
    store: FolderStore, cache: Cache, tmp_path: Path
) -> None:
    pulled = bring(store, cache, tmp_path / "out", runtimes=("executorch",), precisions=("int8",))
    assert [artifact.path for artifact in pulled.artifacts] == ["nano-int8.pte"]
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert not names & {"nano-int8.onnx", "nano-fp32.pte", "nano-int8.mlpackage"}
    fetched = {path.name for path in (cache.root / "blobs").rglob("*") if path.is_file()}
    assert blob_of(store, "nano-int8.pte").name in fetched
    assert blob_of(store, "nano-int8.onnx").name not in fetched


def test_pulled_directory_is_one_that_the_other_commands_take(
    store: FolderStore, cache: Cache, tmp_path: Path
) -> None:
    bring(store, cache, tmp_path / "out", runtimes=("coreml",))
    manifest = read_manifest(tmp_path / "out")
    assert [artifact.path for artifact in manifest.artifacts] == ["nano-int8.mlpackage"]
    verify_files(tmp_path / "out", manifest)


def test_selection_without_a_match_says_what_there_is(
    store: FolderStore, cache: Cache, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="no coreml fp16: it has executorch int8, executorch fp32"):
        bring(store, cache, tmp_path / "out", runtimes=("coreml",), precisions=("fp16",))


def test_progress_adds_up_to_what_was_announced(
    store: FolderStore, old_store: FolderStore, cache: Cache, tmp_path: Path
) -> None:
    for output, used in (("first", store), ("from-cache", store), ("old", old_store)):
        watch = Bytes()
        request = PullRequest(NAME, output=tmp_path / output)
        pull(Source(used, cache, lambda message: None), request, watch)
        assert watch.done == watch.total > 15_000


def test_signature_of_the_right_key_is_accepted(
    store: FolderStore, cache: Cache, keys: Keys, tmp_path: Path
) -> None:
    pulled = bring(store, cache, tmp_path / "out", verify_key=keys.public)
    assert pulled.opened.signed_by == f"key sha256:{hash_bytes(keys.public.read_bytes())}"


def test_signature_of_another_key_is_refused_before_any_model_is_fetched(
    store: FolderStore, cache: Cache, other_keys: Keys, tmp_path: Path
) -> None:
    with pytest.raises(ReleaseError, match="was not made by the key"):
        bring(store, cache, tmp_path / "out", verify_key=other_keys.public)
    assert not (tmp_path / "out").exists()
    assert not (cache.root / store_paths.blob(blob_of(store, "nano-int8.pte").name)).exists()


def test_unsigned_release_is_refused_where_a_signature_is_asked_for(
    store: FolderStore, cache: Cache, keys: Keys, tmp_path: Path
) -> None:
    record = Path(store.url) / store_paths.record(NAME, Version(1, 0, 0))
    lines = record.read_text().splitlines(keepends=True)
    record.write_text("".join(line for line in lines if "release.json.sig" not in line))
    with pytest.raises(ReleaseError, match="is not signed"):
        bring(store, cache, tmp_path / "out", verify_key=keys.public)


def test_signature_of_another_version_is_refused(
    store: FolderStore, cache: Cache, keys: Keys, tmp_path: Path
) -> None:
    """A store that passes the old, honestly signed release off as the new one."""
    old = Path(store.url) / store_paths.record(NAME, Version(1, 0, 0))
    new = Path(store.url) / store_paths.record(NAME, Version(1, 1, 0))
    new.write_bytes(old.read_bytes())
    with pytest.raises(ReleaseError, match=r"1\.1\.0 is that of squeezesam-nano 1\.0\.0"):
        bring(store, cache, tmp_path / "out", NAME, verify_key=keys.public)


def test_document_changed_after_signing_is_refused(
    store: FolderStore, cache: Cache, keys: Keys, tmp_path: Path
) -> None:
    """The whole chain of hashes is forged; only the signature is not."""
    document = blob_of(store, "release.json")
    forged = (
        document.read_bytes().replace(b'"unverified"', b'"passed"').replace(b"Apache", b"Opache")
    )
    put_blob(store, "release.json", forged)
    with pytest.raises(ReleaseError, match="was not made by the key"):
        bring(store, cache, tmp_path / "out", verify_key=keys.public)


def put_blob(store: FolderStore, file: str, content: bytes) -> None:
    """Puts other bytes in place of a file of 1.0.0 and lets the record say so."""
    record = Path(store.url) / store_paths.record(NAME, Version(1, 0, 0))
    old = blob_of(store, file).name
    target = Path(store.url) / store_paths.blob(hash_bytes(content))
    target.parent.mkdir(exist_ok=True)
    target.write_bytes(content)
    record.write_text(record.read_text().replace(old, target.name))


def tampered(content: bytes) -> bytes:
    return content[:1000] + bytes([content[1000] ^ 1]) + content[1001:]


def cut_short(content: bytes) -> bytes:
    return content[:10]


@pytest.mark.parametrize("file", ["nano-int8.pte", WEIGHTS, "README.md"])
@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (tampered, "is not the file that was published"),
        (lambda content: content[:-1], "is cut off|is not the file"),
        (lambda content: b"", "is cut off"),
        (lambda content: content[::-1], "is not the file that was published"),
    ],
)
def test_damaged_file_in_the_store_is_refused_and_nothing_appears(
    damage: Callable[[bytes], bytes],
    reason: str,
    file: str,
    store: FolderStore,
    cache: Cache,
    tmp_path: Path,
) -> None:
    path = blob_of(store, file)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ReleaseError, match=rf"{file}.*({reason})"):
        bring(store, cache, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert not (cache.root / store_paths.blob(path.name)).exists()


@pytest.mark.parametrize("file", ["release.json", "manifest.json", "release.json.sig"])
def test_damaged_document_is_refused(
    file: str, store: FolderStore, cache: Cache, tmp_path: Path
) -> None:
    path = blob_of(store, file)
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(ReleaseError, match="is not the file that was published"):
        bring(store, cache, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_swapped_files_are_refused(store: FolderStore, cache: Cache, tmp_path: Path) -> None:
    """Two whole, honest files of equal size under each other's hash."""
    first, second = blob_of(store, "nano-int8.pte"), blob_of(store, "nano-fp32.pte")
    content = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(content)
    with pytest.raises(ReleaseError, match=r"nano-int8\.pte .* is not the file"):
        bring(store, cache, tmp_path / "out")


def test_record_that_names_other_files_than_the_document_is_refused(
    store: FolderStore, cache: Cache, tmp_path: Path
) -> None:
    put_blob(store, "nano-int8.pte", b"evil")
    with pytest.raises(ReleaseError, match="lists other files than its SHA256SUMS"):
        bring(store, cache, tmp_path / "out")


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"x  y\n", b"0" * 64 + b"  ../x\n"])
def test_damaged_record_is_refused(
    content: bytes, store: FolderStore, cache: Cache, tmp_path: Path
) -> None:
    (Path(store.url) / store_paths.record(NAME, Version(1, 0, 0))).write_bytes(content)
    with pytest.raises(ReleaseError, match="SHA256SUMS is damaged"):
        bring(store, cache, tmp_path / "out")


def test_malicious_archive_is_refused_though_every_hash_agrees(
    old_store: FolderStore, cache: Cache, tmp_path: Path
) -> None:
    """A publisher who lies: the archive is the one that document and record name."""
    forged = tmp_path / "forged.zip"
    shutil.copy(blob_of(old_store, "nano-int8.mlpackage.zip"), forged)
    with zipfile.ZipFile(forged, "a") as opened:
        opened.writestr("../../outside", "evil")
    replace_stored(old_store, "nano-int8.mlpackage.zip", forged.read_bytes())
    with pytest.raises(ReleaseError, match="climbs out of its directory"):
        bring(old_store, cache, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.glob("**/outside"))


def replace_stored(store: FolderStore, file: str, content: bytes) -> None:
    """Another file in place of a stored one, under the hash that record and document now name."""
    document = json.loads(blob_of(store, "release.json").read_bytes())
    for entry in document["files"]:
        if entry["path"] == file:
            entry |= {"sha256": hash_bytes(content), "bytes": len(content)}
    put_blob(store, file, content)
    put_blob(store, "release.json", json.dumps(document).encode())


def repacked(archive: Path, target: Path, method: int) -> bytes:
    """The same files in another order."""
    with zipfile.ZipFile(archive) as opened, zipfile.ZipFile(target, "w", method) as copied:
        for info in reversed(opened.infolist()):
            copied.writestr(zipfile.ZipInfo(info.filename), opened.read(info), method)
    return target.read_bytes()


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_package_in_a_zip_by_another_hand_is_pulled_too(
    method: int, old_store: FolderStore, cache: Cache, tmp_path: Path
) -> None:
    archive = blob_of(old_store, "nano-int8.mlpackage.zip")
    content = repacked(archive, tmp_path / "other.zip", method)
    replace_stored(old_store, "nano-int8.mlpackage.zip", content)
    for output in ("out", "from-cache"):
        bring(old_store, cache, tmp_path / output)
        verify_files(tmp_path / output, read_manifest(tmp_path / output))


def test_artifact_that_is_not_the_one_of_the_manifest_is_refused(
    store: FolderStore, cache: Cache, tmp_path: Path
) -> None:
    """A publisher who lies: record and document agree on a file the manifest does not describe."""
    replace_stored(store, "nano-int8.pte", b"evil" * 1250)
    with pytest.raises(ReleaseError, match=r"its manifest has another nano-int8\.pte"):
        bring(store, cache, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_files_of_a_package_are_written_once(
    store: FolderStore, cache: Cache, tmp_path: Path
) -> None:
    bring(store, cache, tmp_path / "out", runtimes=("coreml",))
    cached = {
        path.stat().st_ino: path.name
        for path in (cache.root / "blobs").rglob("*")
        if path.is_file()
    }
    package = next(iter(read_manifest(tmp_path / "out").artifacts))
    for entry in package.files:
        status = (tmp_path / "out" / entry.path).stat()
        assert cached[status.st_ino] == entry.sha256
        assert status.st_mode & 0o222 == 0
    assert list((cache.root / "partial").iterdir()) == []


def test_archive_in_the_cache_of_an_earlier_version_is_used(
    old_store: FolderStore, cache: Cache, tmp_path: Path
) -> None:
    """Earlier versions kept the zip, not the files in it."""
    selected = {"runtimes": ("coreml",)}
    bring(old_store, cache, tmp_path / "out", **selected)
    for entry in next(iter(read_manifest(tmp_path / "out").artifacts)).files:
        (cache.root / store_paths.blob(entry.sha256)).unlink()
    archive = blob_of(old_store, "nano-int8.mlpackage.zip")
    cached = cache.root / store_paths.blob(archive.name)
    cached.parent.mkdir(exist_ok=True)
    shutil.copy(archive, cached)
    for output in ("again", "once-more"):
        bring(OfflineStore(old_store.url), cache, tmp_path / output, **selected)
        assert files_of(tmp_path / output) == files_of(tmp_path / "out")
    assert not cached.exists()


def test_version_that_changed_since_it_was_pulled_is_refused(
    store: FolderStore, cache: Cache, tmp_path: Path
) -> None:
    bring(store, cache, tmp_path / "out")
    put_blob(store, "report.html", b"other")
    with pytest.raises(ReleaseError, match="is not what it was when it was pulled before"):
        bring(store, cache, tmp_path / "out")


@pytest.mark.parametrize("left", [b"", bytes(500), b"\xff"])
def test_what_a_power_cut_left_of_the_caches_records_is_read_again(
    left: bytes, store: FolderStore, cache: Cache, tmp_path: Path
) -> None:
    bring(store, cache, tmp_path / "out", NAME)
    for path in (cache.root / "records").rglob("*"):
        if path.is_file():
            path.write_bytes(left)
    assert bring(store, cache, tmp_path / "out", NAME).release.version == "1.1.0"


def test_newer_release_document_is_refused_in_one_sentence(
    store: FolderStore, cache: Cache, tmp_path: Path
) -> None:
    document = json.loads(blob_of(store, "release.json").read_bytes())
    put_blob(store, "release.json", json.dumps(document | {"release_version": 3}).encode())
    with pytest.raises(ArtifactError, match=r"release_version 3 .* install a newer sqsam-deploy$"):
        bring(store, cache, tmp_path / "out")


def test_second_pull_needs_no_store(store: FolderStore, cache: Cache, tmp_path: Path) -> None:
    bring(store, cache, tmp_path / "first", NAME)
    before = files_of(tmp_path / "first")
    shutil.rmtree(store.url)
    heard: list[str] = []
    request = PullRequest(NAME, output=tmp_path / "second")
    pull(Source(store, cache, heard.append), request, Bytes())
    assert files_of(tmp_path / "second") == before
    assert "was 1.1.0 when it was last seen" in heard[0]
    bring(OfflineStore(store.url), cache, tmp_path / "third", f"{NAME}@1.1.0")
    assert files_of(tmp_path / "third") == before


def test_offline_pull_of_what_is_not_in_the_cache_is_refused(
    store: FolderStore, cache: Cache, tmp_path: Path
) -> None:
    selected = {"runtimes": ("onnx",)}
    bring(store, cache, tmp_path / "out", **selected)
    with pytest.raises(StoreError, match="is not in the cache"):
        bring(OfflineStore(store.url), cache, tmp_path / "all")


def test_file_damaged_in_the_cache_is_fetched_again(
    store: FolderStore, cache: Cache, tmp_path: Path
) -> None:
    bring(store, cache, tmp_path / "first")
    for damage in (tampered, cut_short):
        path = cache.root / store_paths.blob(blob_of(store, "nano-int8.pte").name)
        path.chmod(0o644)
        path.write_bytes(damage(path.read_bytes()))
        bring(store, cache, tmp_path / damage.__name__)
        verify_files(tmp_path / damage.__name__, read_manifest(tmp_path / damage.__name__))


@pytest.mark.usefixtures("small_chunks")
def test_cut_off_download_goes_on_where_it_stopped(
    store: FolderStore, cache: Cache, http_server: RangeServer, tmp_path: Path
) -> None:
    remote = open_store(f"{http_server.url}/store")
    selection = {"runtimes": ("executorch",), "precisions": ("int8",)}
    source = Source(remote, cache, lambda message: None)
    source.open(NAME, Version(1, 0, 0))  # documents first, so that the model is what is cut off
    http_server.cut_after = 2500
    with pytest.raises(StoreError, match="cannot be read"):
        bring(remote, cache, tmp_path / "out", **selection)
    assert not (tmp_path / "out").exists()
    digest = blob_of(store, "nano-int8.pte").name
    assert (cache.root / "partial" / digest).stat().st_size == 2000
    http_server.cut_after = None
    http_server.requests.clear()
    bring(remote, cache, tmp_path / "out", **selection)
    ranges = [asked for path, asked in http_server.requests if path.endswith(digest)]
    assert ranges == ["bytes=2000-2999", "bytes=3000-3999", "bytes=4000-4999"]
    verify_files(tmp_path / "out", read_manifest(tmp_path / "out"))


def test_left_over_of_other_bytes_is_thrown_away(
    store: FolderStore, cache: Cache, tmp_path: Path
) -> None:
    for left in (b"y" * 3000, b"y" * 9000, b"y" * 5000):
        partial = cache.root / "partial" / blob_of(store, "nano-int8.pte").name
        shutil.rmtree(cache.root, ignore_errors=True)
        partial.parent.mkdir(parents=True)
        partial.write_bytes(left)
        bring(store, cache, tmp_path / "out")
        verify_files(tmp_path / "out", read_manifest(tmp_path / "out"))


@pytest.mark.usefixtures("small_chunks")
def test_server_without_ranges_is_enough(
    store: FolderStore, cache: Cache, http_server: RangeServer, tmp_path: Path
) -> None:
    http_server.ranges = False
    bring(open_store(f"{http_server.url}/store"), cache, tmp_path / "out")
    verify_files(tmp_path / "out", read_manifest(tmp_path / "out"))


def test_pulling_from_s3_is_the_same(
    s3_store_url: str, published: Path, cache: Cache, tmp_path: Path, keys: Keys
) -> None:
    store = open_store(s3_store_url)
    publish(
        store,
        PublishRequest(published / "export-1.0.0", version="1.0.0", sign_key=keys.private),
    )
    bring(store, cache, tmp_path / "out", NAME, verify_key=keys.public)
    verify_files(tmp_path / "out", read_manifest(tmp_path / "out"))
    exported = (published / "export-1.0.0" / "nano-int8.onnx").read_bytes()
    assert (tmp_path / "out" / "nano-int8.onnx").read_bytes() == exported


def test_earlier_pull_is_replaced_whole(store: FolderStore, cache: Cache, tmp_path: Path) -> None:
    bring(store, cache, tmp_path / "out", f"{NAME}@1.0.0")
    bring(store, cache, tmp_path / "out", f"{NAME}@1.1.0", runtimes=("onnx",))
    bring(store, cache, tmp_path / "fresh", f"{NAME}@1.1.0", runtimes=("onnx",))
    assert files_of(tmp_path / "out") == files_of(tmp_path / "fresh")
    assert not list(tmp_path.glob(".*"))


def test_directory_of_somebody_elses_files_is_left_alone(
    store: FolderStore, cache: Cache, tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("years")
    with pytest.raises(UsageError, match="holds other files"):
        bring(store, cache, tmp_path / "out")
    assert files_of(tmp_path / "out") == {"thesis.txt": b"years"}


def test_file_added_to_a_pulled_directory_is_not_lost(
    store: FolderStore, cache: Cache, tmp_path: Path
) -> None:
    bring(store, cache, tmp_path / "out")
    (tmp_path / "out" / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"notes\.txt was not put there by a pull"):
        bring(store, cache, tmp_path / "out")
    assert (tmp_path / "out" / "notes.txt").read_text() == "mine"


def locked(pulled: Pulled, **changes: object) -> LockedModel:
    fields = {
        "output": "out",
        "store": "",
        "name": NAME,
        "version": pulled.release.version,
        "release_sha256": pulled.opened.sha256,
        "runtime": None,
        "precision": None,
        "format": "plain",
        "signed_by": None,
        "files": pulled.files,
    }
    return LockedModel.model_validate(fields | changes)


def test_locked_pull_brings_the_same_files_after_tags_moved_on(
    store: FolderStore, cache: Cache, tmp_path: Path
) -> None:
    pulled = bring(store, cache, tmp_path / "out", f"{NAME}@stable")
    before = files_of(tmp_path / "out")
    (Path(store.url) / store_paths.tag(NAME, "stable")).write_text("1.1.0\n")
    source = Source(store, Cache(tmp_path / "other-cache"), lambda message: None)
    pull_locked(source, locked(pulled), PullRequest(output=tmp_path / "again"), Bytes())
    assert files_of(tmp_path / "again") == before


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (lambda pulled: {"release_sha256": "0" * 64}, "is not the one in the lock file"),
        (lambda pulled: {"files": pulled.files[1:]}, "cannot be made again"),
    ],
    ids=["another release of that version", "files that came out differently"],
)
def test_locked_pull_refuses(
    changes: Callable[[Pulled], dict[str, object]],
    reason: str,
    store: FolderStore,
    cache: Cache,
    tmp_path: Path,
) -> None:
    pulled = bring(store, cache, tmp_path / "out")
    source = Source(store, cache, lambda message: None)
    with pytest.raises(ReleaseError, match=reason):
        other = locked(pulled, **changes(pulled))
        pull_locked(source, other, PullRequest(output=tmp_path / "again"), Bytes())
    assert not (tmp_path / "again").exists()


def test_release_document_survives_its_own_round_trip(
    store: FolderStore, cache: Cache, tmp_path: Path
) -> None:
    pulled = bring(store, cache, tmp_path / "out")
    assert release_bytes(pulled.release) == pulled.opened.document
