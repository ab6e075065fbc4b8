import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from sqsam_deploy.release import download
from tests.release.export_builder import ExportBuilder
from tests.release.http_server import RangeServer
from tests.release.release_keys import Keys, make_keys


@pytest.fixture(scope="session")
def build_export() -> ExportBuilder:
    return ExportBuilder()


@pytest.fixture
def export(build_export: ExportBuilder, tmp_path: Path) -> Path:
    return build_export(tmp_path / "export")


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return make_keys(tmp_path_factory.mktemp("keys") / "own")


@pytest.fixture(scope="session")
def other_keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return make_keys(tmp_path_factory.mktemp("keys") / "other")


@pytest.fixture(scope="session")
def moto_url() -> Iterator[str]:
    """An S3 server on loopback."""
    server_module = pytest.importorskip("moto.server")
    pytest.importorskip("s3fs")
    server = server_module.ThreadedMotoServer(
        ip_address="127.0.0.1", port=_free_port(), verbose=False
    )
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3_store_url(moto_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A fresh bucket; the client learns of server and keys as a user would tell it."""
    import fsspec
    import s3fs

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto_url)
    s3fs.S3FileSystem.clear_instance_cache()
    bucket = "bucket-" + tmp_path.name.lower().replace("_", "-")[-40:].strip("-")
    fsspec.filesystem("s3").mkdir(bucket)
    return f"s3://{bucket}/models"


@pytest.fixture
def http_server(tmp_path: Path) -> Iterator[RangeServer]:
    """Serves `tmp_path` over HTTP, with ranges."""
    with RangeServer(tmp_path) as server:
        yield server


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files come in chunks of 1,000 bytes: one of 5 KB then comes as one of 20 MB does."""
    monkeypatch.setattr(download, "CHUNK", 1000)
    monkeypatch.setattr(download, "_PAUSE_SECONDS", 0.0)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
