from pathlib import Path

import pytest

from sqsam_deploy._internal.atomic import atomic_create, atomic_file, atomic_write


def test_file_takes_the_place_of_an_older_one_and_leaves_nothing_beside(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for content in (b"first, and longer", b"second"):
        atomic_write(path, content)
        assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


def test_file_is_not_seen_before_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with atomic_file(path) as partial:
        partial.write_bytes(b"half")
        assert not path.exists()
    assert path.read_bytes() == b"half"


def test_older_file_stays_where_writing_fails(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def write_half() -> None:
        with atomic_file(path) as partial:
            partial.write_bytes(b"ha")
            raise OSError("No space left on device")

    with pytest.raises(OSError, match="No space left"):
        write_half()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_full_disk_raises_names_the_file(tmp_path: Path) -> None:
    for own in (None, str(tmp_path / "another")):
        error = OSError(28, "No space left on device", own)
        with pytest.raises(OSError, match="No space") as raised, atomic_file(tmp_path / "file"):
            raise error
        assert raised.value.filename == (own or str(tmp_path / "file"))


def test_what_cannot_be_made_is_called_by_its_own_name(tmp_path: Path) -> None:
    missing = tmp_path / "missing" / "file"
    with pytest.raises(FileNotFoundError) as raised:
        atomic_write(missing, b"x")
    assert raised.value.filename == str(missing)


def test_mode_is_that_of_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "plain").write_bytes(b"")
    atomic_write(tmp_path / "whole", b"")
    assert (tmp_path / "whole").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_link_stays_one_and_the_linked_file_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to("real")
    atomic_write(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"


def test_of_many_processes_one_creates_the_file(tmp_path: Path) -> None:
    assert atomic_create(tmp_path / "file", b"mine")
    assert not atomic_create(tmp_path / "file", b"theirs")
    assert (tmp_path / "file").read_bytes() == b"mine"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
