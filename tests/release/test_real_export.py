"""A real export, published and pulled: the pulled artifact runs as the exported one does."""

from pathlib import Path

import pytest

from sqsam_deploy.artifact.manifest import read_manifest, verify_files
from sqsam_deploy.release.cache import Cache
from sqsam_deploy.release.publish import publish
from sqsam_deploy.release.pull import pull
from sqsam_deploy.release.request import PublishRequest, PullRequest
from sqsam_deploy.release.source import Source
from sqsam_deploy.release.store import FolderStore


@pytest.fixture(scope="module")
def real_export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("coremltools")
    from sqsam_deploy.pipeline.export import export
    from sqsam_deploy.pipeline.request import ExportRequest
    from sqsam_deploy.pipeline.targets import Target

    output = tmp_path_factory.mktemp("real") / "out"
    targets = (Target("onnx", "fp32"), Target("coreml", "fp32"))
    export(ExportRequest(targets, output, "nano", with_saliency=False))
    return output


@pytest.mark.full
def test_pulled_artifacts_open_and_describe_themselves_as_exported(
    real_export: Path, tmp_path: Path
) -> None:
    from sqsam_deploy.runtimes import open_session, read_metadata

    store = FolderStore(tmp_path / "store")
    request = PublishRequest(real_export, version="1.0.0", allow_unverified=True)
    name = publish(store, request).release.name
    source = Source(store, Cache(tmp_path / "cache"), lambda message: None)
    pulling = PullRequest(name, output=tmp_path / "pulled")
    pulled = pull(source, pulling, lambda what, total: lambda count: None)
    verify_files(tmp_path / "pulled", read_manifest(tmp_path / "pulled"))
    for artifact in pulled.artifacts:
        path = tmp_path / "pulled" / artifact.path
        assert read_metadata(path) == artifact.metadata
    open_session(tmp_path / "pulled" / "nano-fp32.onnx")
