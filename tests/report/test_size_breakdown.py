"""Every byte of a file is accounted for, and is what the account says."""

from pathlib import Path

import pytest
import torch

from sqsam_deploy.errors import ArtifactError
from sqsam_deploy.runtimes.inspection import Part, bytes_by_kind
from sqsam_deploy.runtimes.registry import runtime_of, runtimes_for
from tests.tiny_network import TINY_ARTIFACTS, tiny_folded, tiny_quantized


def parts_of(path: Path) -> tuple[Part, ...]:
    return runtime_of(path).inspect(path).parts


INT8 = ("tiny-int8.onnx", "tiny-int8.pte", "tiny-int8.mlpackage")


@pytest.mark.parametrize("name", TINY_ARTIFACTS)
def test_parts_add_up_to_the_files_on_disk(small_export, name):
    path = small_export.directory / name
    files = [path] if path.is_file() else [item for item in path.rglob("*") if item.is_file()]
    parts = parts_of(path)
    assert all(part.bytes > 0 for part in parts)
    assert sum(part.bytes for part in parts) == sum(file.stat().st_size for file in files)
    assert sum(bytes_by_kind(parts).values()) == sum(part.bytes for part in parts)


@pytest.mark.parametrize("name", INT8)
def test_int8_weights_are_the_programs_own(small_export, name):
    program = tiny_quantized().program
    tensors = (*program.state_dict.values(), *program.constants.values())
    expected = sum(
        t.numel() for t in tensors if isinstance(t, torch.Tensor) and t.dtype is torch.int8
    )
    parts = parts_of(small_export.directory / name)
    found = sum(p.bytes for p in parts if p.kind == "weights" and p.name.endswith("int8"))
    # A layer may be padded with channels of zeros, and a runtime may hold one constant twice.
    assert expected <= found < 1.1 * expected


def test_float_weights_are_four_bytes_a_parameter(small_export):
    parameters = sum(p.numel() for p in tiny_folded().network.parameters())
    kinds = bytes_by_kind(parts_of(small_export.directory / "tiny-fp32.onnx"))
    assert kinds["weights"] == pytest.approx(4 * parameters, rel=0.02)
    assert kinds["scales"] == 0


def test_scales_of_int8_are_told_from_weights(small_export):
    program = tiny_quantized().program
    channels = sum(
        node.args[1].meta["val"].numel()
        for node in program.graph.nodes
        if "dequantize_per_channel" in str(node.target)
        and node.args[0].meta["val"].dtype == torch.int8
    )
    kinds = bytes_by_kind(parts_of(small_export.directory / "tiny-int8.mlpackage"))
    # Two bytes a scale; zero points are another byte where they are stored at all.
    assert 2 * channels <= kinds["scales"] <= 4 * channels


def test_the_metadata_is_what_the_artifact_says_of_itself(small_export):
    for entry in small_export.manifest.artifacts:
        if entry.path == "tiny-int8.pte":
            parts = parts_of(small_export.directory / entry.path)
            (json,) = [part for part in parts if part.kind == "metadata"]
            assert json.bytes == len(entry.metadata.model_dump_json())


def test_a_damaged_file_is_named(small_export, tmp_path):
    damaged = tmp_path / "cut.pte"
    damaged.write_bytes((small_export.directory / "tiny-int8.pte").read_bytes()[:2000])
    with pytest.raises(ArtifactError, match=r"cut\.pte"):
        runtimes_for(damaged)[0].inspect(damaged)
