"""`.pte` files with the Core ML delegate: written, taken apart again, executed."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import sqsam_deploy
from sqsam_deploy.artifact.metadata import ArtifactMetadata
from sqsam_deploy.errors import ArtifactError
from sqsam_deploy.quantization.calibration import network_inputs
from sqsam_deploy.runtimes.executorch_coreml import RUNTIME as EXECUTORCH_COREML
from sqsam_deploy.runtimes.executorch_coreml.blob import reproducible, unpacked
from sqsam_deploy.runtimes.executorch_coreml.filesystem import flatten
from tests.runtimes.coreml.small_network import Photo, real_photo
from tests.tiny_network import (
    TINY,
    HalfFragment,
    fragment_metadata,
    fragment_program,
    tiny_folded,
    tiny_metadata,
)

NAME = "tiny-fp16-coreml.pte"


@pytest.fixture(scope="module")
def photo() -> Photo:
    return real_photo(TINY)


@pytest.fixture(scope="module")
def metadata() -> ArtifactMetadata:
    return tiny_metadata(NAME)


@pytest.fixture(scope="module")
def artifact(tiny_artifact: Callable[[str], Path]) -> Path:
    return tiny_artifact(NAME)


def test_the_delegate_inside_is_the_network(artifact: Path, photo: Photo) -> None:
    executed = EXECUTORCH_COREML.open_session(artifact).run(*photo)
    with torch.inference_mode():
        masks, iou = tiny_folded().network(*network_inputs(*photo, TINY))
    for actual, expected in (
        (executed.low_res_masks, masks[0].numpy()),
        (executed.iou_predictions, iou[0].numpy()),
    ):
        assert np.abs(actual - expected).max() < 0.02 * np.abs(expected).max()


def test_the_file_carries_its_metadata(artifact: Path, metadata: ArtifactMetadata) -> None:
    assert EXECUTORCH_COREML.read_metadata(artifact) == metadata


def test_the_same_program_gives_the_same_bytes(tmp_path: Path) -> None:
    program = fragment_program(HalfFragment)
    metadata = fragment_metadata("executorch-coreml", "fp16")
    contents = []
    for name in ("first.pte", "other.pte"):
        EXECUTORCH_COREML.lower(program, metadata, tmp_path / name)
        contents.append((tmp_path / name).read_bytes())
    assert contents[0] == contents[1]
    for local in (Path.home(), tmp_path, Path(sqsam_deploy.__file__).parents[1]):
        assert str(local).encode() not in contents[0]


def test_a_truncated_file_is_refused(artifact: Path, tmp_path: Path) -> None:
    path = tmp_path / "cut.pte"
    content = artifact.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(ArtifactError):
        EXECUTORCH_COREML.open_session(path)


def test_executorch_reads_a_flattened_directory(tmp_path: Path) -> None:
    from executorch.backends.apple.coreml import executorchcoreml

    source, target = tmp_path / "source", tmp_path / "target"
    (source / "b" / "deeper").mkdir(parents=True)
    (source / "a.txt").write_bytes(b"first")
    (source / "b" / "deeper" / "z.bin").write_bytes(bytes(range(256)))
    target.mkdir()
    assert executorchcoreml.unflatten_directory_contents(flatten(source), str(target))
    found = {p.relative_to(target): p.read_bytes() for p in target.rglob("*") if p.is_file()}
    assert found == {
        Path("lowered_module/a.txt"): b"first",
        Path("lowered_module/b/deeper/z.bin"): bytes(range(256)),
    }


@pytest.mark.parametrize("blob", [b"", b"no directory", b"}" * 100])
def test_a_damaged_delegate_is_refused(blob: bytes) -> None:
    with pytest.raises(ArtifactError, match="delegate"), unpacked(blob):
        pass
    with pytest.raises(ArtifactError, match="delegate"):
        reproducible(blob)


def test_a_program_with_another_delegate_is_refused(
    metadata: ArtifactMetadata, tmp_path: Path
) -> None:
    from executorch.exir import to_edge_transform_and_lower

    from sqsam_deploy.artifact.metadata import METADATA_KEY

    program = torch.export.export(torch.nn.Linear(2, 2).eval(), (torch.ones(1, 2),))
    edge = to_edge_transform_and_lower(
        program, constant_methods={METADATA_KEY: metadata.model_dump_json()}
    )
    path = tmp_path / "undelegated.pte"
    path.write_bytes(edge.to_executorch().buffer)
    with pytest.raises(ArtifactError, match="does more than call one CoreMLBackend"):
        EXECUTORCH_COREML.open_session(path)
