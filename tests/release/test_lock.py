"""`sqsam.lock` comes out of a repository, and whoever may write there is not trusted with more."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from semver import Version

from sqsam_deploy.errors import SqsamError
from sqsam_deploy.release.lock import LockedModel, newest_pinned, read_lock, update_lock
from sqsam_deploy.release.publish import publish
from sqsam_deploy.release.request import PublishRequest
from sqsam_deploy.release.store import FolderStore
from tests.commands import Done, run_command
from tests.release.export_builder import ExportBuilder

NAME = "squeezesam-nano"


@pytest.fixture(scope="session")
def pinned(build_export: ExportBuilder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store, a cache, and two levels below a project with a lock file that pins `out`."""
    folder = tmp_path_factory.mktemp("lock")
    project = folder / "home" / "project"
    project.mkdir(parents=True)
    request = PublishRequest(build_export(folder / "export"), version="1.0.0")
    publish(FolderStore(folder / "store"), request)
    done = pulled(project, NAME, "--store", folder / "store", "--runtime", "onnx", "-o", "out")
    assert done.code == 0, done.stderr
    shutil.rmtree(project / "out")
    return folder


@pytest.fixture
def project(pinned: Path, tmp_path: Path) -> Path:
    """A copy of the project, which names the copy of the store."""
    shutil.copytree(pinned, tmp_path, dirs_exist_ok=True)
    project = tmp_path / "home" / "project"
    edited(project, store=str(tmp_path / "store"))
    return project


def pulled(project: Path, *arguments: object) -> Done:
    cache = {"SQSAM_CACHE": str(project.parents[1] / "cache")}
    return run_command("pull", *arguments, cwd=project, environment=cache)


def edited(project: Path, **changes: object) -> None:
    path = project / "sqsam.lock"
    lock = json.loads(path.read_bytes())
    lock["models"][0] |= changes
    path.write_text(json.dumps(lock))


def everything(folder: Path) -> set[str]:
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if "cache/" not in path.relative_to(folder).as_posix()
    }


def test_two_entries_of_one_output_are_refused(project: Path) -> None:
    """As a careless merge of two branches leaves them."""
    path = project / "sqsam.lock"
    lock = json.loads(path.read_bytes())
    lock["models"] *= 2
    path.write_text(json.dumps(lock))
    done = pulled(project, "--locked")
    assert done.code == 3
    assert "'out' is there twice" in done.stderr
    assert not (project / "out").exists()


def test_locked_pull_works_from_another_directory(project: Path) -> None:
    done = run_command(
        "pull",
        "--locked",
        "--lock",
        project / "sqsam.lock",
        cwd=project.parent,
        environment={"SQSAM_CACHE": str(project.parents[1] / "cache")},
    )
    assert done.code == 0, done.stderr
    assert (project / "out" / "nano-int8.onnx").is_file()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("output", "../escaped"),
        ("output", "a/../../escaped"),
        ("output", "/absolute"),
        ("output", ""),
        ("output", "."),
        ("output", "a\0b"),
        ("output", "a\\..\\b"),
        ("output", "C:/x"),
        ("output", "\x1b[31m"),
        ("output", 5),
        ("name", "../../../../escape"),
        (
            "name",
            "..",
        ),
        ("name", "\x1b]0;x\x07"),
        ("name", None),
        ("version", "banana"),
        ("version", "1.0.0/../../x"),
        ("version", "1.0.0+build"),
        ("version", 1),
        ("release_sha256", "../x"),
        ("store", ["x"]),
        ("store", "reference://"),
        ("store", "zip://x::file:///nowhere"),
        ("store", "ftp://x"),
        ("store", ""),
        ("format", "nosuch"),
        ("runtime", "nosuch"),
        ("precision", {}),
        ("files", [{"path": "../x", "bytes": 1, "sha256": "0" * 64}]),
        ("unknown", 1),
    ],
)
def test_field_that_is_not_right_is_one_sentence_and_writes_nothing(
    field: str, value: object, project: Path
) -> None:
    value = str(project.parents[1] / "absolute") if value == "/absolute" else value
    edited(project, **{field: value})
    before = everything(project.parents[1])
    done = pulled(project, "--locked")
    assert done.code in (2, 3), done.stderr
    lines = [line for line in done.stderr.splitlines() if not line.startswith("note:")]
    assert len(lines) == 1
    assert lines[0].startswith("error: ")
    assert everything(project.parents[1]) == before


def test_output_behind_a_link_that_leads_out_is_refused(project: Path) -> None:
    (project.parent / "elsewhere").mkdir()
    for link, target in (("models", "../elsewhere"), ("inner", "models")):
        (project / link).symlink_to(target)
        for output in (f"{link}/out", link):
            edited(project, output=output)
            done = pulled(project, "--locked")
            assert done.code == 2
            assert "output" in done.stderr
    assert list((project.parent / "elsewhere").iterdir()) == []


def test_output_behind_a_link_that_stays_inside_is_followed(project: Path) -> None:
    (project / "models").mkdir()
    (project / "current").symlink_to("models")
    edited(project, output="current/out")
    assert pulled(project, "--locked").code == 0
    assert (project / "models" / "out" / "nano-int8.onnx").is_file()


def test_output_elsewhere_is_pulled_and_not_pinned(project: Path, tmp_path: Path) -> None:
    before = (project / "sqsam.lock").read_bytes()
    done = pulled(project, NAME, "--store", tmp_path / "store", "-o", tmp_path / "elsewhere")
    assert done.code == 0
    assert "is not pinned" in done.stderr
    assert (project / "sqsam.lock").read_bytes() == before
    assert (tmp_path / "elsewhere" / "nano-int8.onnx").is_file()


_WRITER = """
import sys
from pathlib import Path
from sqsam_deploy.release.lock import read_lock, update_lock
first = read_lock(Path(sys.argv[1])).models[0]
for number in range(15):
    output = f"{sys.argv[2]}/{number}"
    update_lock(Path(sys.argv[1]), first.model_copy(update={"output": output}))
"""


def test_no_entry_is_lost_where_several_write_at_once(project: Path) -> None:
    lock = project / "sqsam.lock"
    writers = [
        subprocess.Popen([sys.executable, "-c", _WRITER, str(lock), f"writer-{number}"])
        for number in range(4)
    ]
    assert [writer.wait() for writer in writers] == [0] * 4
    assert len(read_lock(lock).models) == 1 + 4 * 15
    assert [path.name for path in project.iterdir()] == ["sqsam.lock"]


def test_lock_file_that_is_a_link_stays_one(project: Path) -> None:
    (project / "sqsam.lock").rename(project / "real.lock")
    (project / "sqsam.lock").symlink_to("real.lock")
    model = read_lock(project / "sqsam.lock").models[0]
    update_lock(project / "sqsam.lock", model.model_copy(update={"output": "second"}))
    assert (project / "sqsam.lock").is_symlink()
    assert len(read_lock(project / "real.lock").models) == 2


def test_newest_pinned_is_the_highest_release_of_that_store(project: Path) -> None:
    lock = project / "sqsam.lock"
    first = read_lock(lock).models[0]

    def add(output: str, **changes: str) -> None:
        update_lock(lock, LockedModel.model_validate({**dict(first), "output": output, **changes}))

    add("a", version="1.10.0")
    add("b", version="1.9.0")
    add("c", version="2.0.0-rc.1")
    add("d", version="3.0.0", store="https://elsewhere")
    assert newest_pinned(lock, first.store, NAME) == Version(1, 10, 0)
    assert newest_pinned(lock, first.store, "other") is None
    assert newest_pinned(project / "missing.lock", first.store, NAME) is None


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff", b'{"lock_version": true}'])
def test_damaged_lock_file_is_one_sentence(content: bytes, project: Path, tmp_path: Path) -> None:
    (project / "sqsam.lock").write_bytes(content)
    for arguments in (["--locked"], [NAME, "--store", tmp_path / "store", "-o", "out"]):
        done = pulled(project, *arguments)
        assert done.code == 3
        assert "sqsam.lock" in done.stderr
    with pytest.raises(SqsamError):
        read_lock(project / "sqsam.lock")


@pytest.fixture
def read_only_cache(project: Path) -> Iterator[Path]:
    """The cache of an earlier pull, where nothing can be written."""
    cache = project.parents[1] / "cache"
    store = ["--store", project.parents[1] / "store", "--runtime", "onnx"]
    assert pulled(project, NAME, *store, "-o", "out").code == 0
    if os.geteuid() != 0:
        for path in [*cache.rglob("*"), cache]:
            path.chmod(0o555 if path.is_dir() else 0o444)
        yield cache
        return
    # From root permissions keep nothing; a mount does.
    kept = cache.rename(cache.with_name("kept"))
    cache.mkdir()
    command = ["mount", "-t", "tmpfs", "tmpfs", str(cache)]
    if not shutil.which("mount") or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("mounting a file system is not permitted here")
    shutil.copytree(kept, cache, dirs_exist_ok=True)
    subprocess.run(["mount", "-o", "remount,ro", str(cache)], check=True)
    yield cache
    subprocess.run(["umount", str(cache)], check=True)


@pytest.mark.usefixtures("read_only_cache")
def test_complete_cache_on_a_read_only_disk_serves(project: Path, tmp_path: Path) -> None:
    store = ["--store", tmp_path / "store", "--runtime", "onnx"]
    for number, more in enumerate(([], ["--offline"])):
        done = pulled(project, NAME, *store, *more, "-o", f"again-{number}")
        assert done.code == 0, done.stderr
    done = pulled(project, "--locked")
    assert done.code == 0, done.stderr
    done = pulled(project, NAME, "--store", tmp_path / "store", "--runtime", "executorch")
    assert done.code == 3
    assert "SQSAM_CACHE" in done.stderr
