"""Stores that lie, stall, flood or go back in time: one sentence, in bounded time and memory."""

import functools
import json
import os
import shutil
import time
import tracemalloc
import zlib
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from semver import Version

from sqsam_deploy.artifact.files import hash_bytes
from sqsam_deploy.errors import ArtifactError, ReleaseError, SqsamError, StoreError, UsageError
from sqsam_deploy.release import http, store_paths
from sqsam_deploy.release.cache import Cache
from sqsam_deploy.release.catalog import Indexer, read_index
from sqsam_deploy.release.publish import publish
from sqsam_deploy.release.pull import pull
from sqsam_deploy.release.request import PublishRequest, PullRequest
from sqsam_deploy.release.source import Source
from sqsam_deploy.release.store import FolderStore, Store, open_store
from tests.release.export_builder import ExportBuilder
from tests.release.http_server import RangeServer

NAME = "squeezesam-nano"
LATEST = f"models/{NAME}/tags/latest"
Handler = BaseHTTPRequestHandler


@pytest.fixture(scope="session")
def made(build_export: ExportBuilder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with 1.0.0 and 2.0.0."""
    folder = tmp_path_factory.mktemp("hostile")
    for seed, version in enumerate((Version(1, 0, 0), Version(2, 0, 0))):
        export = build_export(folder / f"export-{version}", seed=seed)
        publish(FolderStore(folder / "store"), PublishRequest(export, version=str(version)))
    return folder / "store"


@pytest.fixture
def store(made: Path, tmp_path: Path) -> FolderStore:
    """A copy of it that a test may damage."""
    shutil.copytree(made, tmp_path / "store")
    return FolderStore(tmp_path / "store")


@pytest.fixture
def remote(store: FolderStore, http_server: RangeServer) -> Store:
    """The same behind a web server."""
    return open_store(f"{http_server.url}/store")


def bring(
    store: Store,
    folder: Path,
    reference: str = NAME,
    notes: list[str] | None = None,
    pinned: Version | None = None,
    **options: object,
) -> str:
    """Pulls one model into `folder / "out"`, with a cache beside, and returns its version."""
    request = PullRequest(
        reference,
        output=folder / "out",
        runtimes=("onnx",),
        **options,  # type: ignore[arg-type]
    )
    source = Source(store, Cache(folder / "cache"), (notes if notes is not None else []).append)
    return pull(source, request, lambda what, total: lambda count: None, pinned).release.version


def on(part: str, answer: Callable[[Handler], None]) -> Callable[[Handler], bool]:
    """Takes requests over whose path has this part."""

    def takeover(handler: Handler) -> bool:
        if part not in handler.path:
            return False
        answer(handler)
        return True

    return takeover


def headed(handler: Handler, status: int, **headers: object) -> None:
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), str(value))
    handler.end_headers()
    handler.close_connection = True


def endless(handler: Handler) -> None:
    headed(handler, 200)
    for _ in range(200):
        handler.wfile.write(bytes(1 << 20))


@functools.cache
def bomb() -> bytes:
    """200 MB of zeros as gzip."""
    packer = zlib.compressobj(wbits=31)
    return b"".join(packer.compress(bytes(1 << 20)) for _ in range(200)) + packer.flush()


def compressed_zeros(handler: Handler) -> None:
    content = bomb()
    headed(handler, 200, Content_Encoding="gzip", Content_Length=len(content))
    handler.wfile.write(content)


def silent(handler: Handler) -> None:
    time.sleep(600)


def silent_after_head(handler: Handler) -> None:
    headed(handler, 200, Content_Length=150)
    time.sleep(600)


def dripping_head(handler: Handler) -> None:
    for byte in b"HTTP/1.1 200 OK\r\nX: " + bytes(20_000):
        handler.wfile.write(bytes([byte]))
        time.sleep(0.05)


def dripping(handler: Handler) -> None:
    headed(handler, 200, Content_Length=5000)
    for _ in range(5000):
        handler.wfile.write(b"x")
        time.sleep(0.05)


def endless_beside_the_file(handler: Handler) -> None:
    """Bytes come, of which none belongs to the body."""
    headed(handler, 200, Transfer_Encoding="chunked")
    handler.wfile.write(b"5;")
    for _ in range(20_000):
        handler.wfile.write(bytes(64 << 10))
        time.sleep(0.01)


def endless_head(handler: Handler) -> None:
    handler.send_response(200)
    handler.flush_headers()
    for _ in range(2000):
        handler.wfile.write(b"X: aaaaaaaa\r\n" * 10_000)


def redirected_for_ever(handler: Handler) -> None:
    headed(handler, 302, Location=handler.path, Content_Length=0)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits for half a second, as no test can wait the half minute that the product does."""
    for name in ("_ANSWER_SECONDS", "_IDLE_SECONDS", "_PERIOD_SECONDS"):
        monkeypatch.setattr(http, name, 0.5)


@pytest.mark.parametrize("part", ["tags/latest", "SHA256SUMS", "model"])
@pytest.mark.parametrize(
    "answer",
    [
        endless,
        compressed_zeros,
        silent,
        silent_after_head,
        dripping_head,
        dripping,
        endless_head,
        endless_beside_the_file,
        redirected_for_ever,
    ],
)
@pytest.mark.usefixtures("impatient")
def test_answer_is_bounded_in_bytes_and_time(
    part: str,
    answer: Callable[[Handler], None],
    made: Path,
    store: FolderStore,
    http_server: RangeServer,
    tmp_path: Path,
) -> None:
    model = hash_bytes((made.parent / "export-2.0.0" / "nano-int8.onnx").read_bytes())
    finished: list[Handler] = []

    def to_the_end(handler: Handler) -> None:
        answer(handler)
        finished.append(handler)

    http_server.takeover = on(model if part == "model" else part, to_the_end)
    remote = open_store(f"{http_server.url}/store")
    bomb()
    tracemalloc.start()
    try:
        with pytest.raises((StoreError, ReleaseError)) as raised:
            bring(remote, tmp_path)
        assert tracemalloc.get_traced_memory()[1] < 64 << 20
    finally:
        tracemalloc.stop()
    # What takes minutes was not waited for; what ends at once was not asked for for ever.
    assert len(finished) <= (100 if answer in (compressed_zeros, redirected_for_ever) else 0)
    assert http_server.url in str(raised.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("status", [200, 204, 206])
def test_page_instead_of_a_model_is_refused_at_once(
    status: int, made: Path, remote: Store, http_server: RangeServer, tmp_path: Path
) -> None:
    """A login page: a short answer is no progress."""
    page = b"<html>please log in</html>"
    model = hash_bytes((made.parent / "export-2.0.0" / "nano-int8.onnx").read_bytes())

    def answer(handler: Handler) -> None:
        headed(handler, status, Content_Length=len(page))
        handler.wfile.write(page)

    http_server.takeover = on(model, answer)
    with pytest.raises(SqsamError, match=model):
        bring(remote, tmp_path)
    assert len([path for path, _ in http_server.requests if model in path]) <= 3


@pytest.mark.usefixtures("small_chunks")
def test_other_range_than_asked_for_is_refused(
    made: Path, remote: Store, http_server: RangeServer, tmp_path: Path
) -> None:
    model = hash_bytes((made.parent / "export-2.0.0" / "nano-int8.onnx").read_bytes())

    def answer(handler: Handler) -> None:
        headed(handler, 206, Content_Length=1000, Content_Range="bytes 0-999/900000")
        handler.wfile.write(bytes(1000))

    http_server.takeover = on(model, answer)
    with pytest.raises(ReleaseError, match="bytes 0-999/900000"):
        bring(remote, tmp_path)


def test_latest_that_goes_back_is_refused_until_it_is_asked_for(
    store: FolderStore, tmp_path: Path
) -> None:
    assert bring(store, tmp_path) == "2.0.0"
    (Path(store.url) / LATEST).write_text("1.0.0\n")
    with pytest.raises(ReleaseError, match=r"1\.0\.0, and 2\.0\.0 .*--allow-older"):
        bring(store, tmp_path)
    assert bring(store, tmp_path, f"{NAME}@1.0.0") == "1.0.0"
    with pytest.raises(ReleaseError, match=r"1\.0\.0, and 2\.0\.0"):
        bring(store, tmp_path)
    assert bring(store, tmp_path, allow_older=True) == "1.0.0"
    assert bring(store, tmp_path) == "1.0.0", "what was allowed once is what is known now"


def test_latest_older_than_a_version_that_was_named_is_refused(
    store: FolderStore, tmp_path: Path
) -> None:
    assert bring(store, tmp_path, f"{NAME}@2.0.0") == "2.0.0"
    (Path(store.url) / LATEST).write_text("1.0.0\n")
    with pytest.raises(ReleaseError, match=r"2\.0\.0"):
        bring(store, tmp_path)


def test_latest_older_than_the_lock_file_has_is_refused(store: FolderStore, tmp_path: Path) -> None:
    (Path(store.url) / LATEST).write_text("1.0.0\n")
    with pytest.raises(ReleaseError, match=r"2\.0\.0"):
        bring(store, tmp_path, pinned=Version(2, 0, 0))
    assert bring(store, tmp_path, pinned=Version(2, 0, 0, "rc.1")) == "1.0.0"


def test_version_that_does_not_exist_is_not_remembered(store: FolderStore, tmp_path: Path) -> None:
    """A store that lies upwards once cannot make the honest latest be refused afterwards."""
    (Path(store.url) / LATEST).write_text("99.0.0\n")
    with pytest.raises(ReleaseError):
        bring(store, tmp_path)
    (Path(store.url) / LATEST).write_text("2.0.0\n")
    assert bring(store, tmp_path) == "2.0.0"


def test_other_tag_that_goes_back_is_named(store: FolderStore, tmp_path: Path) -> None:
    tag = Path(store.url) / store_paths.tag(NAME, "stable")
    tag.write_text("2.0.0\n")
    bring(store, tmp_path, f"{NAME}@stable")
    tag.write_text("1.0.0\n")
    notes: list[str] = []
    assert bring(store, tmp_path, f"{NAME}@stable", notes) == "1.0.0"
    assert "2.0.0" in notes[0]
    assert "1.0.0" in notes[0]


@pytest.mark.parametrize("content", [b"", b"banana", b"1.0", b"\xff", b"../2.0.0", b"2.0.0+build"])
def test_tag_that_names_no_version_is_refused(
    content: bytes, store: FolderStore, tmp_path: Path
) -> None:
    (Path(store.url) / LATEST).write_bytes(content)
    with pytest.raises(ReleaseError, match="tags/latest is damaged"):
        bring(store, tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
@pytest.mark.parametrize("path", [LATEST, f"models/{NAME}/2.0.0/SHA256SUMS", "index.json"])
def test_pipe_in_the_place_of_a_file_is_not_waited_for(
    path: str, store: FolderStore, tmp_path: Path
) -> None:
    (Path(store.url) / path).unlink()
    os.mkfifo(Path(store.url) / path)
    with pytest.raises(ReleaseError, match=r"no plain file|has no"):
        bring(store, tmp_path, NAME if path != "index.json" else f"{NAME}@nosuch")


@pytest.mark.parametrize(
    "stray",
    [
        "models/.DS_Store",
        "models/desktop.ini",
        "models/Thumbs.db",
        f"models/{NAME}/.DS_Store",
        f"models/{NAME}/notes",
        f"models/{NAME}/3.0.0",
        f"models/{NAME}/tags/.DS_Store",
        f"models/{NAME}/tags/._latest",
        f"models/{NAME}/tags/desktop.ini",
        f"models/{NAME}/tags/old/file",
        f"models/{NAME}/4.0.0/file",
        "blobs/.DS_Store",
    ],
)
def test_stray_file_in_a_store_is_passed_over(stray: str, store: FolderStore, export: Path) -> None:
    path = Path(store.url) / stray
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"\0\1Bud1")
    publish(store, PublishRequest(export, version="2.1.0"))
    assert (Path(store.url) / LATEST).read_text() == "2.1.0\n"
    index = Indexer(store).refresh()
    assert list(index.models) == [NAME]
    assert list(index.models[NAME].versions) == ["1.0.0", "2.0.0", "2.1.0"]
    assert list(index.models[NAME].tags) == ["latest"]


def changed_index(store: FolderStore, change: Callable[[dict[str, object]], None]) -> None:
    path = Path(store.url) / "index.json"
    index = json.loads(path.read_bytes())
    change(index["models"])
    path.write_text(json.dumps(index))


@pytest.mark.parametrize(
    "change",
    [
        lambda models: models.update({"other[/red]": models[NAME]}),
        lambda models: models.update({"\x1b[31mred": models[NAME]}),
        lambda models: models[NAME]["versions"].update(banana=models[NAME]["versions"]["1.0.0"]),
        lambda models: models[NAME]["tags"].update({"\x1b[2J": "1.0.0"}),
        lambda models: models[NAME]["tags"].update(stable="[link=x]"),
        lambda models: models[NAME]["versions"]["1.0.0"].update(published="\x1b]0;x\x07"),
        lambda models: models[NAME]["versions"]["1.0.0"].update(artifacts=["../x", "\x1b[31m"]),
        lambda models: models[NAME]["versions"]["1.0.0"].update(bytes=-1),
    ],
)
def test_index_with_names_that_are_none_is_refused(
    change: Callable[[dict[str, object]], None], store: FolderStore, tmp_path: Path
) -> None:
    changed_index(store, change)
    with pytest.raises(ArtifactError, match=r"index\.json is damaged"):
        read_index(store)
    with pytest.raises(ReleaseError, match="has no squeezesam-nano@nosuch"):
        bring(store, tmp_path, f"{NAME}@nosuch")


def forge(store: FolderStore, change: Callable[[dict[str, object]], None]) -> None:
    """Another `release.json` for 2.0.0, with every hash made right again."""
    root = Path(store.url)
    record = root / f"models/{NAME}/2.0.0/SHA256SUMS"
    digests = {line[66:]: line[:64] for line in record.read_text().splitlines()}
    document = json.loads((root / store_paths.blob(digests["release.json"])).read_bytes())
    change(document)
    content = json.dumps(document).encode()
    files = {entry["path"]: entry["sha256"] for entry in document["files"]}
    digests = files | {"release.json": hash_bytes(content)}
    target = root / store_paths.blob(digests["release.json"])
    target.parent.mkdir(exist_ok=True)
    target.write_bytes(content)
    record.write_text("".join(f"{digest}  {path}\n" for path, digest in digests.items()))


def test_paths_of_a_release_are_bounded_in_depth_and_number(
    store: FolderStore, tmp_path: Path
) -> None:
    deep = {"bytes": 1, "sha256": "0" * 64, "path": "a/" * 40 + "a"}
    forge(store, lambda document: document["files"].append(deep))  # type: ignore[attr-defined]
    with pytest.raises((ReleaseError, ArtifactError), match="damaged"):
        bring(store, tmp_path)
    many = [{**deep, "path": f"{number}"} for number in range(10_001)]
    forge(store, lambda document: document.update(files=many))
    with pytest.raises(ArtifactError, match=r"damaged at files"):
        bring(store, tmp_path)


@pytest.mark.parametrize("name", [".sqsam-pull.json", "README.md", "release.json", "manifest.json"])
def test_artifact_under_the_name_of_a_document_is_refused(
    name: str, store: FolderStore, export: Path, tmp_path: Path
) -> None:
    """Manifest and release agree on it: only where it would be laid out does it show."""
    root = Path(store.url)
    record = root / f"models/{NAME}/2.0.0/SHA256SUMS"
    digests = {line[66:]: line[:64] for line in record.read_text().splitlines()}
    manifest = json.loads((root / store_paths.blob(digests["manifest.json"])).read_bytes())
    for artifact in manifest["artifacts"]:
        if artifact["path"] == "nano-int8.onnx":
            artifact["path"] = artifact["files"][0]["path"] = name
    content = json.dumps(manifest).encode()

    def rename(document: dict[str, list[dict[str, object]]]) -> None:
        for artifact in document["artifacts"]:
            if artifact["path"] == "nano-int8.onnx":
                artifact["path"] = name
        document["files"] = [e for e in document["files"] if e["path"] != name]
        for entry in document["files"]:
            if entry["path"] == "nano-int8.onnx":
                entry["path"] = name
            if entry["path"] == "manifest.json" and name != "manifest.json":
                entry |= {"sha256": hash_bytes(content), "bytes": len(content)}

    target = root / store_paths.blob(hash_bytes(content))
    target.parent.mkdir(exist_ok=True)
    target.write_bytes(content)
    forge(store, rename)  # type: ignore[arg-type]
    with pytest.raises(SqsamError):
        bring(store, tmp_path)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "url",
    [
        "",
        " ",
        "a\0b",
        "a\x1b[31mb",
        "zip://x",
        "zip://x::file:///tmp/no.zip",
        "s3://x::file:///tmp/no.zip",
        "reference://",
        "ftp://x/y",
        "github://a:b@c/",
        "nosuch://x/y",
        "simplecache::https://x/y",
        "https://",
        "http:///x",
        "http://[::1",
        "http://x:port/",
        "://",
        "file://\0",
        "~nobody-of-this-name/x",
    ],
)
def test_location_that_is_no_store_is_one_sentence(url: str, tmp_path: Path) -> None:
    with pytest.raises(SqsamError) as raised:
        bring(open_store(url), tmp_path)
    assert raised.value.exit_code in (2, 3)
    assert str(raised.value).isprintable()


def test_password_of_a_location_is_in_no_message(tmp_path: Path) -> None:
    for url in ("http://me:secret@127.0.0.1:9/x", "http://me:secret@127.0.0.1:99999/x"):
        with pytest.raises(StoreError) as raised:
            bring(open_store(url), tmp_path)
        assert "secret" not in str(raised.value)


def blob_in_cache(folder: Path, made: Path, name: str) -> Path:
    digest = hash_bytes((made.parent / "export-2.0.0" / name).read_bytes())
    return folder / "cache" / store_paths.blob(digest)


def overwritten(path: Path) -> None:
    path.chmod(0o644)
    path.write_bytes(b"evil" * (path.stat().st_size // 4))


def overwritten_with_its_old_time(path: Path) -> None:
    status = path.stat()
    overwritten(path)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def replaced(path: Path) -> None:
    size = path.stat().st_size
    path.unlink()
    path.write_bytes(b"evil" * (size // 4))


def replaced_by_a_link(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(b"evil" * (path.stat().st_size // 4))
    path.unlink()
    path.symlink_to(other)


@pytest.mark.parametrize(
    "attack", [overwritten, overwritten_with_its_old_time, replaced, replaced_by_a_link]
)
@pytest.mark.parametrize("moment", ["blobs", "partial"])
@pytest.mark.usefixtures("small_chunks")
def test_file_changed_in_the_cache_after_it_was_verified_is_never_put_in_place(
    moment: str,
    attack: Callable[[Path], None],
    made: Path,
    remote: Store,
    http_server: RangeServer,
    tmp_path: Path,
) -> None:
    """The server strikes when the next file, or the next chunk of this one, is asked for."""
    victim = blob_in_cache(tmp_path, made, "nano-int8.pte")
    if moment == "partial":
        victim = tmp_path / "cache" / "partial" / victim.name
    struck: list[Path] = []

    def strike(handler: Handler) -> bool:
        if not struck and victim.is_file() and victim.stat().st_size > 2000:
            struck.append(victim)
            attack(victim)
        return False

    http_server.takeover = strike
    request = PullRequest(NAME, output=tmp_path / "out")
    source = Source(remote, Cache(tmp_path / "cache"), lambda message: None)
    with pytest.raises(ReleaseError, match=r"changed|is not the file"):
        pull(source, request, lambda what, total: lambda count: None)
    assert struck
    assert not (tmp_path / "out").exists()


def test_file_in_the_cache_of_another_user_is_copied(
    store: FolderStore, made: Path, tmp_path: Path
) -> None:
    """Its owner could go on writing to it through the cache."""
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")
    bring(store, tmp_path)
    blob = blob_in_cache(tmp_path, made, "nano-int8.onnx")
    shutil.rmtree(tmp_path / "out")
    os.chown(blob, 12345, 12345)
    bring(store, tmp_path)
    placed = tmp_path / "out" / "nano-int8.onnx"
    assert placed.stat().st_ino != blob.stat().st_ino
    assert placed.read_bytes() == blob.read_bytes()


def test_edited_added_and_linked_files_are_named_and_stay_until_overwritten(
    store: FolderStore, tmp_path: Path
) -> None:
    def edited(out: Path) -> Path:
        (out / "README.md").write_text("my notes")
        return out / "README.md"

    def edited_model(out: Path) -> Path:
        (out / "nano-int8.onnx").unlink()
        (out / "nano-int8.onnx").write_bytes(b"tuned")
        return out / "nano-int8.onnx"

    def added(out: Path) -> Path:
        (out / "notes").mkdir()
        return out / "notes"

    def linked(out: Path) -> Path:
        (out / "data").symlink_to(tmp_path)
        return out / "data"

    def link_instead(out: Path) -> Path:
        (out / "README.md").rename(tmp_path / "moved.md")
        (out / "README.md").symlink_to(tmp_path / "moved.md")
        return out / "README.md"

    for change in (edited, edited_model, added, linked, link_instead):
        bring(store, tmp_path, f"{NAME}@1.0.0", overwrite=True)
        path = change(tmp_path / "out")
        with pytest.raises(UsageError, match=rf"{path.name} .*--overwrite"):
            bring(store, tmp_path)
        assert path.exists()
        assert bring(store, tmp_path, overwrite=True) == "2.0.0"
    assert [path.name for path in tmp_path.glob(".*")] == []


def test_what_a_file_manager_left_in_the_output_is_in_nobodys_way(
    store: FolderStore, tmp_path: Path
) -> None:
    bring(store, tmp_path, f"{NAME}@1.0.0")
    (tmp_path / "out" / ".DS_Store").write_bytes(b"\0\1Bud1")
    assert bring(store, tmp_path) == "2.0.0"


def test_links_in_a_store_that_lead_nowhere_are_passed_over(
    store: FolderStore, export: Path
) -> None:
    models = Path(store.url) / "models"
    for path in (models / "old", models / NAME / "3.0.0", models / NAME / "tags" / "beta"):
        path.symlink_to(path.name)
    publish(store, PublishRequest(export, version="2.1.0"))
    assert (Path(store.url) / LATEST).read_text() == "2.1.0\n"
    assert list(read_index(store).models) == [NAME]


def test_pull_through_a_link_replaces_what_it_points_to(store: FolderStore, tmp_path: Path) -> None:
    bring(store, tmp_path, f"{NAME}@1.0.0")
    (tmp_path / "out").rename(tmp_path / "real")
    (tmp_path / "out").symlink_to("real")
    bring(store, tmp_path)
    assert (tmp_path / "out").is_symlink()
    assert json.loads((tmp_path / "real" / ".sqsam-pull.json").read_bytes())["version"] == "2.0.0"
    assert [path.name for path in tmp_path.glob(".*")] == []
