from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sqsam_deploy.errors import MissingDependencyError, ReleaseError, StoreError, UsageError
from sqsam_deploy.release.store import (
    FolderStore,
    NotInStoreError,
    Store,
    open_store,
    public_url,
)
from tests.release.http_server import RangeServer


@pytest.fixture(params=["folder", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "memory":
        return open_store(f"memory://{tmp_path.name}")
    (tmp_path / "store").mkdir()
    return open_store(str(tmp_path / "store"))


def test_what_was_put_is_read(store: Store, tmp_path: Path) -> None:
    store.put("a/b", b"first")
    store.put("a/b", b"second")
    (tmp_path / "file").write_bytes(b"third")
    store.put_file("a/c", tmp_path / "file")
    assert store.read("a/b", 100) == b"second"
    assert store.read("a/c", 5) == b"third"
    assert store.read_range("a/b", 2, 4, 6) == b"co"
    assert store.read_range("a/b", 3, 100, 6) == b"ond"


def test_s3_keeps_the_same_promises(s3_store_url: str, tmp_path: Path) -> None:
    store = open_store(s3_store_url)
    test_what_was_put_is_read(store, tmp_path)
    test_put_new_never_replaces(store)
    test_names_are_those_of_files_and_folders(store)
    test_what_is_missing_is_told_from_what_cannot_be_read(store)


def test_names_are_those_of_files_and_folders(store: Store) -> None:
    for path in ("m/x/1", "m/x/2", "m/y/1"):
        store.put(path, b"-")
    assert store.names("m") == ["x", "y"]
    assert store.names("m/x") == ["1", "2"]
    assert store.names("nothing") == []


def test_names_show_what_another_writer_added(store: Store) -> None:
    store.put("m/1", b"-")
    assert store.names("m") == ["1"]
    store.put("m/2", b"-")
    assert store.names("m") == ["1", "2"]


def test_put_new_never_replaces(store: Store) -> None:
    assert store.put_new("a", b"mine")
    assert not store.put_new("a", b"theirs")
    assert store.read("a", 100) == b"mine"


def test_what_is_missing_is_told_from_what_cannot_be_read(store: Store) -> None:
    store.put("a", b"-")
    with pytest.raises(NotInStoreError, match="has no missing"):
        store.read("missing", 100)
    with pytest.raises(NotInStoreError, match="has no missing"):
        store.read_range("missing", 0, 1, 9)


def test_longer_document_than_any_release_has_is_not_taken(store: Store) -> None:
    store.put("a", b"x" * 101)
    with pytest.raises(ReleaseError, match="more than 100 bytes"):
        store.read("a", 100)


@pytest.mark.parametrize("kind", ["folder", "s3"])
def test_of_many_writers_at_once_exactly_one_succeeds(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue("s3_store_url") if kind == "s3" else str(tmp_path)
    stores = [open_store(url) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        for path in ("first", "second"):
            writes = [pool.submit(stores[n].put_new, path, b"%d" % n) for n in range(8)]
            won = [write.result() for write in writes]
            assert won.count(True) == 1
            assert stores[0].read(path, 10) == b"%d" % won.index(True)


def test_folder_store_keeps_nothing_half_written(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    store.put("a", b"1")
    store.put_new("b", b"1")
    store.put_new("b", b"2")
    assert list((tmp_path / ".partial").iterdir()) == []


def test_folder_store_removes_what_dead_writers_left(tmp_path: Path) -> None:
    import os
    import re
    import socket
    import subprocess

    host = re.sub("[^A-Za-z0-9-]", "_", socket.gethostname())
    child = subprocess.Popen(["true"])
    child.wait()
    folder = tmp_path / ".partial"
    folder.mkdir()
    dead = folder / f".a.partial-{host}.{child.pid}.0123abcd"
    alive = folder / f".a.partial-{host}.{os.getpid()}.0123abcd"
    elsewhere = folder / ".a.partial-another-host.1.0123abcd"
    old = folder / ".a.partial-another-host.2.0123abcd"
    for path in (dead, alive, elsewhere, old):
        path.write_bytes(b"half")
    os.utime(old, (0, 0))
    FolderStore(tmp_path).prepare()
    assert sorted(folder.iterdir()) == sorted([alive, elsewhere])


def test_http_store_is_read_and_never_written(http_server: RangeServer) -> None:
    (http_server.root / "a").write_bytes(b"content")
    store = open_store(http_server.url)
    assert store.read("a", 100) == b"content"
    assert store.read_range("a", 3, 5, 7) == b"te"
    with pytest.raises(NotInStoreError):
        store.read("b", 100)
    with pytest.raises(UsageError, match="read-only"):
        store.put("a", b"")


def test_server_that_is_not_there_is_named() -> None:
    with pytest.raises(StoreError, match=r"127\.0\.0\.1:9/x/a cannot be read"):
        open_store("http://127.0.0.1:9/x").read("a", 10)


def test_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="missing does not exist"):
        open_store(str(tmp_path / "missing")).read("a", 10)


def test_unknown_kind_of_location_is_refused() -> None:
    with pytest.raises((UsageError, MissingDependencyError), match="nosuch"):
        open_store("nosuch://x/y")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://user:secret@host/x/", "https://host/x"),
        ("s3://bucket/models", "s3://bucket/models"),
        ("/a/folder", "/a/folder"),
    ],
)
def test_shown_url_holds_no_password(url: str, shown: str) -> None:
    assert public_url(url) == shown
