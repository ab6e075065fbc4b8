"""Stores written by earlier versions stay readable: every format version keeps one here."""

import hashlib
import shutil
from pathlib import Path

import pytest

from sqsam_deploy.artifact.manifest import read_manifest, verify_files
from sqsam_deploy.release.cache import Cache
from sqsam_deploy.release.catalog import Indexer, read_index
from sqsam_deploy.release.document import RELEASE_VERSION
from sqsam_deploy.release.pull import pull
from sqsam_deploy.release.request import PullRequest
from sqsam_deploy.release.source import Source
from sqsam_deploy.release.store import FolderStore

GOLDEN = Path(__file__).parent / "golden"
VERSIONS = [f"v{number}" for number in range(1, RELEASE_VERSION + 1)]
#: SHA-256 of `nano-int8.pte` of 1.0.0 and 1.1.0, noted when the stores were made.
MODELS = {
    "v1": {
        "1.0.0": "39a8b7208bc82b7e9529b09381559bc09bd96448c5edf7246ed021e9a4151693",
        "1.1.0": "6fa6366f8586f4c61e3b7e6ac689c1d21ace4a739c2ff6bd55d3aa35a5b704e7",
    },
    "v2": {
        "1.0.0": "f0d289d3fd3b3013e3f80a5586d6aadda9e604c57473aadf42b7d0c79f62f842",
        "1.1.0": "fad50fcc28fc8fd2403c3e844b4cdef311adbf28673852c640a89e7e6424d328",
    },
}


@pytest.mark.parametrize("format_version", VERSIONS)
@pytest.mark.parametrize("version", ["1.0.0", "1.1.0"])
def test_golden_release_is_pulled_and_its_signature_still_verifies(
    format_version: str, version: str, tmp_path: Path
) -> None:
    golden = GOLDEN / format_version
    source = Source(FolderStore(golden / "store"), Cache(tmp_path / "cache"), pytest.fail)
    request = PullRequest(
        f"squeezesam-nano@{version}",
        output=tmp_path / "out",
        verify_key=golden / "key.pub",
    )
    pull(source, request, lambda what, total: lambda count: None)
    verify_files(tmp_path / "out", read_manifest(tmp_path / "out"))
    content = (tmp_path / "out" / "nano-int8.pte").read_bytes()
    assert hashlib.sha256(content).hexdigest() == MODELS[format_version][version]


@pytest.mark.parametrize("format_version", VERSIONS)
def test_index_of_a_golden_store_is_what_would_be_derived_today(
    format_version: str, tmp_path: Path
) -> None:
    shutil.copytree(GOLDEN / format_version / "store", tmp_path / "store")
    store = FolderStore(tmp_path / "store")
    earlier = read_index(store)
    (tmp_path / "store" / "index.json").unlink()
    Indexer(store).refresh()
    assert read_index(store) == earlier
