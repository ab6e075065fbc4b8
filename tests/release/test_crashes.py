"""SIGKILL at random moments, and at every touch of a file: nothing half visible, next run works.

`SQSAM_KILLS=50 pytest tests/release/test_crashes.py` is the run the documentation reports.
"""

import json
import os
import random
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
from semver import Version

from sqsam_deploy.artifact.files import hash_file
from sqsam_deploy.artifact.manifest import read_manifest, verify_files
from sqsam_deploy.release import store_paths
from sqsam_deploy.release.catalog import read_index, read_record
from sqsam_deploy.release.publish import publish
from sqsam_deploy.release.request import PublishRequest
from sqsam_deploy.release.store import FolderStore
from tests.release.crashes import kill_after, run_in_child, was_killed
from tests.release.export_builder import ExportBuilder
from tests.release.pulling import bring
from tests.release.release_keys import Keys

NAME = "squeezesam-nano"
KILLS = int(os.environ.get("SQSAM_KILLS", "8"))
#: Every n-th touch of a file is tried in an everyday run, every one of them in the long run.
STRIDE = 1 if KILLS >= 50 else 25

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


@pytest.fixture(scope="module")
def base(build_export: ExportBuilder, keys: Keys, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with 1.0.0, and what shall become 1.1.0."""
    folder = tmp_path_factory.mktemp("crashes")
    old = build_export(folder / "old")
    build_export(folder / "new", seed=1)
    request = PublishRequest(old, version="1.0.0", sign_key=keys.private)
    publish(FolderStore(folder / "store"), request)
    return folder


class Publishing:
    """Publishing 1.1.0 into a copy of the store, and what must be true of it at any time."""

    def __init__(self, base: Path, keys: Keys, folder: Path) -> None:
        self._keys, self._export = keys, base / "new"
        self.folder = folder
        shutil.copytree(base / "store", folder / "store")
        self.store = FolderStore(folder / "store")

    def run(self) -> None:
        publish(
            self.store, PublishRequest(self._export, version="1.1.0", sign_key=self._keys.private)
        )

    def check(self) -> bool:
        """Nothing half visible; says whether the new version exists."""
        root = Path(self.store.url)
        for blob in (root / "blobs").rglob("*"):
            assert blob.is_dir() or hash_file(blob) == blob.name
        index = read_index(self.store)
        assert "1.0.0" in index.models[NAME].versions
        exists = read_record(self.store, NAME, Version(1, 1, 0)) is not None
        for version in ("1.0.0", "1.1.0") if exists else ("1.0.0",):
            self._pull(version)
        assert exists or (root / store_paths.tag(NAME, "latest")).read_text() == "1.0.0\n"
        return exists

    def check_finished(self) -> None:
        assert self.check()
        assert read_index(self.store).models[NAME].tags["latest"] == "1.1.0"
        assert list((Path(self.store.url) / ".partial").iterdir()) == []

    def _pull(self, version: str) -> None:
        output = self.folder / f"pulled-{version}"
        shutil.rmtree(output, ignore_errors=True)
        key, cache = self._keys.public, self.folder / "cache"
        bring(self.store, cache, f"{NAME}@{version}", output, verify_key=key)
        verify_files(output, read_manifest(output))


class Pulling:
    """Pulling 1.1.0 over a pulled 1.0.0, and what must be true of the directory at any time."""

    def __init__(self, base: Path, keys: Keys, folder: Path) -> None:
        self._store, self._keys, self.folder = FolderStore(base / "both"), keys, folder
        self._bring("1.0.0")
        shutil.rmtree(folder / "cache")

    def run(self) -> None:
        self._bring("1.1.0")

    def check(self) -> bool:
        """The directory is wholly the old or wholly the new one; says whether the new one."""
        output = self.folder / "out"
        receipt = json.loads((output / ".sqsam-pull.json").read_bytes())
        found = {
            path.relative_to(output).as_posix(): hash_file(path)
            for path in output.rglob("*")
            if path.is_file() and path.name != ".sqsam-pull.json"
        }
        assert found == receipt["files"]
        verify_files(output, read_manifest(output))
        return bool(receipt["version"] == "1.1.0")

    def check_finished(self) -> None:
        assert self.check()
        assert [path.name for path in self.folder.glob(".*")] == []

    def _bring(self, version: str) -> None:
        key, output = self._keys.public, self.folder / "out"
        bring(self._store, self.folder / "cache", f"{NAME}@{version}", output, verify_key=key)


Scene = Publishing | Pulling


@pytest.fixture(params=[Publishing, Pulling])
def scene(
    request: pytest.FixtureRequest, base: Path, keys: Keys, tmp_path: Path
) -> Callable[[], Scene]:
    """Makes fresh scenes, one for each death."""
    if not (base / "both").exists():
        shutil.copytree(base / "store", base / "both")
        newer = PublishRequest(base / "new", version="1.1.0", sign_key=keys.private)
        publish(FolderStore(base / "both"), newer)
    count = 0

    def make() -> Scene:
        nonlocal count
        count += 1
        folder = tmp_path / f"scene-{count}"
        folder.mkdir()
        made: Scene = request.param(base, keys, folder)
        return made

    return make


def recover(scene: Scene) -> None:
    scene.check()
    scene.run()
    scene.check_finished()
    shutil.rmtree(scene.folder)


def test_killed_at_random_moments(scene: Callable[[], Scene]) -> None:
    """Moments are drawn over the usual time, which is learned anew from every run that ends."""
    dice = random.Random(8)
    usual, deaths, runs = 1.0, 0, 0
    while deaths < KILLS and runs < 10 * KILLS:
        victim = scene()
        status, lived = kill_after(victim.run, dice.uniform(0, usual))
        runs += 1
        if was_killed(status):
            deaths += 1
        else:
            assert status == 0
            usual = lived
        recover(victim)
    print(f"{type(victim).__name__}: {runs} runs, {deaths} killed, usual time {usual:.2f} s")
    assert deaths == KILLS


def test_killed_at_the_nth_touch_of_a_file(scene: Callable[[], Scene]) -> None:
    touch, deaths = 1, 0
    before, after = 0, 0
    while True:
        victim = scene()
        status = run_in_child(victim.run, die_at=touch)
        if not was_killed(status):
            assert status == 0
            break
        deaths += 1
        done = victim.check()
        before, after = before + (not done), after + done
        recover(victim)
        touch += STRIDE
    print(f"{type(victim).__name__}: {deaths} deaths, {before} before the commit, {after} after")
    if STRIDE > 1:
        warnings.warn(
            f"of the touches of a file every {STRIDE}th was a death; SQSAM_KILLS=50 tries all",
            stacklevel=1,
        )
    assert deaths > 3
    assert before > 0
