"""Eight processes publish one version at the same moment."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from semver import Version

from sqsam_deploy.artifact.manifest import read_manifest, verify_files
from sqsam_deploy.release import store_paths
from sqsam_deploy.release.catalog import read_index, read_record
from sqsam_deploy.release.store import Store, open_store
from tests.release.export_builder import ExportBuilder
from tests.release.pulling import bring

NAME = "squeezesam-nano"
PUBLISHERS = 8

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

#: Publishes once for what that imports, and then in as many forked processes as there are jobs.
SCRIPT = """
import json, multiprocessing, sys
from pathlib import Path
from sqsam_deploy.errors import ReleaseError
from sqsam_deploy.release.publish import publish
from sqsam_deploy.release.request import PublishRequest
from sqsam_deploy.release.store import open_store
url, spare, jobs = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
if url.startswith("s3:"):
    import s3fs
publish(open_store(spare), PublishRequest(Path(jobs[0][0]), version="0.1.0"))
context = multiprocessing.get_context("fork")
all_there = context.Barrier(len(jobs))
def publish_one(job):
    store, request = open_store(url), PublishRequest(Path(job[0]), version=job[1])
    all_there.wait()
    try:
        return str(publish(store, request).already_there)
    except ReleaseError as error:
        return f"refused: {error}"
with context.Pool(len(jobs)) as pool:
    print(json.dumps(pool.map(publish_one, jobs, chunksize=1)))
"""


def publish_at_once(url: str, exports: list[Path], versions: list[str], folder: Path) -> list[str]:
    """Lets a process for each export go at the same moment, and returns what they say."""
    jobs = json.dumps([*zip(map(str, exports), versions, strict=True)])
    command = [sys.executable, "-c", SCRIPT, url, str(folder / "spare"), jobs]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    said: list[str] = json.loads(done.stdout)
    return said


def pulled_from(store: Store, version: str, folder: Path) -> Path:
    bring(store, folder / "cache", f"{NAME}@{version}", folder / version)
    verify_files(folder / version, read_manifest(folder / version))
    return folder / version


@pytest.fixture(scope="module")
def exports(build_export: ExportBuilder, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("exports")
    return [build_export(folder / f"export-{seed}", seed=seed) for seed in range(PUBLISHERS)]


@pytest.mark.parametrize("kind", ["folder", "s3"])
def test_of_eight_different_releases_of_one_version_one_wins_whole(
    kind: str, exports: list[Path], request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    url = request.getfixturevalue("s3_store_url") if kind == "s3" else str(tmp_path / "store")
    said = publish_at_once(url, exports, ["1.0.0"] * PUBLISHERS, tmp_path)
    assert said.count("False") == 1
    refused = [line for line in said if line.startswith("refused")]
    assert len(refused) == PUBLISHERS - 1
    assert all("already has squeezesam-nano 1.0.0 with other content" in line for line in refused)
    winner = exports[said.index("False")]
    pulled = pulled_from(open_store(url), "1.0.0", tmp_path)
    for artifact in read_manifest(winner).artifacts:
        for entry in artifact.files:
            assert (pulled / entry.path).read_bytes() == (winner / entry.path).read_bytes()


def test_eight_publishers_of_the_same_release_all_succeed_and_one_did_it(
    exports: list[Path], tmp_path: Path
) -> None:
    said = publish_at_once(str(tmp_path / "store"), [exports[0]] * 8, ["1.0.0"] * 8, tmp_path)
    assert sorted(said) == ["False"] + ["True"] * 7
    pulled_from(open_store(str(tmp_path / "store")), "1.0.0", tmp_path)


def test_eight_publishers_of_eight_versions_are_all_in_the_index(
    exports: list[Path], tmp_path: Path
) -> None:
    versions = [f"1.{minor}.0" for minor in range(PUBLISHERS)]
    said = publish_at_once(str(tmp_path / "store"), exports, versions, tmp_path)
    assert said == ["False"] * PUBLISHERS
    store = open_store(str(tmp_path / "store"))
    model = read_index(store).models[NAME]
    assert list(model.versions) == versions
    assert model.tags == {"latest": "1.7.0"}
    assert store.read(store_paths.tag(NAME, "latest"), 100) == b"1.7.0\n"
    for version in versions:
        assert read_record(store, NAME, Version.parse(version)) is not None
