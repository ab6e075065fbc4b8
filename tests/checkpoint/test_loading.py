import hashlib
import json
import os
import pickle
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from sqsam_deploy.checkpoint import load_checkpoint, save_checkpoint
from sqsam_deploy.errors import CheckpointError
from sqsam_deploy.model.config import NANO
from sqsam_deploy.model.network import SqueezeSAM

State = dict[str, Tensor]


@pytest.fixture(scope="module")
def model() -> SqueezeSAM:
    torch.manual_seed(0)
    return SqueezeSAM(NANO).eval()


@pytest.fixture
def state(model: SqueezeSAM) -> State:
    return {key: value.clone() for key, value in model.state_dict().items()}


def _assert_holds(path: Path, state: State) -> None:
    loaded = load_checkpoint(path).model.state_dict()
    assert loaded.keys() == state.keys()
    assert all(torch.equal(loaded[key], state[key]) for key in state)


def test_safetensors_comes_back_with_metadata_and_hash(model: SqueezeSAM, tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    save_checkpoint(model, path, {"licence": "CC0-1.0", "epochs": "3"})
    checkpoint = load_checkpoint(path)
    assert checkpoint.config == NANO
    assert checkpoint.name == "weights.safetensors"
    assert checkpoint.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert checkpoint.licence == "CC0-1.0"
    assert checkpoint.metadata["epochs"] == "3"
    assert not checkpoint.model.training
    assert list(tmp_path.iterdir()) == [path]
    _assert_holds(path, model.state_dict())


@pytest.mark.parametrize(
    "wrapped",
    [
        lambda state: state,
        lambda state: {"model": state, "epoch": 3},
        lambda state: {f"module.{key}": value for key, value in state.items()},
        lambda state: {"model": {f"module.{key}": value for key, value in state.items()}},
    ],
    ids=["bare", "wrapped", "data-parallel", "both"],
)
def test_torch_files_in_every_wrapping(
    wrapped: Callable[[State], object], state: State, tmp_path: Path
) -> None:
    path = tmp_path / "weights.pt"
    torch.save(wrapped(state), path)
    _assert_holds(path, state)


def test_torch_format_before_1_6(state: State, tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    torch.save(state, path, _use_new_zipfile_serialization=False)
    _assert_holds(path, state)


def test_content_decides_not_the_name(state: State, tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    save_file(state, path)
    _assert_holds(path, state)


def test_half_precision_is_upcast(state: State, tmp_path: Path) -> None:
    path = tmp_path / "half.safetensors"
    save_file({k: v.half() if v.is_floating_point() else v for k, v in state.items()}, path)
    loaded = load_checkpoint(path).model.state_dict()
    assert {value.dtype for value in loaded.values()} == {torch.float32, torch.int64}
    assert torch.equal(loaded["iou_token"], state["iou_token"].half().float())


def test_stripped_training_counters_are_no_problem(state: State, tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_file({k: v for k, v in state.items() if "num_batches" not in k}, path)
    assert load_checkpoint(path).config == NANO


def test_random_state_of_the_caller_is_left_alone(model: SqueezeSAM, tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_checkpoint(model, path, {})
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    load_checkpoint(path)
    assert torch.equal(torch.rand(3), expected)


def _refused(path: Path, pattern: str) -> None:
    with pytest.raises(CheckpointError, match=pattern) as caught:
        load_checkpoint(path)
    message = str(caught.value)
    assert path.name in message
    assert "\n" not in message
    assert caught.value.exit_code == 3


def test_refuses_missing_file_and_directory(tmp_path: Path) -> None:
    _refused(tmp_path / "absent.pt", "does not exist")
    directory = tmp_path / "weights.mlpackage"
    directory.mkdir()
    _refused(directory, "is a directory")


@pytest.mark.parametrize(
    ("content", "pattern"),
    [
        (b"", "is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "git lfs pull"),
        (b"GIF89a and nothing else of use", "neither a safetensors nor a torch file"),
        (b"PK\x03\x04 but no archive", "truncated or damaged"),
        (b"\x80\x02 but no pickle", "damaged|not opened"),
        (struct.pack("<Q", 10**12) + b"{}", "truncated or damaged safetensors"),
    ],
    ids=["empty", "lfs", "gif", "zip", "pickle", "safetensors"],
)
def test_refuses_what_is_no_weights_file(content: bytes, pattern: str, tmp_path: Path) -> None:
    path = tmp_path / "weights.bin"
    path.write_bytes(content)
    _refused(path, pattern)


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.999])
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_refuses_truncated_files(suffix: str, keep: float, state: State, tmp_path: Path) -> None:
    path = tmp_path / f"weights{suffix}"
    if suffix == ".pt":
        torch.save(state, path)
    else:
        save_file(state, path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])
    _refused(path, "truncated or damaged")


class _Malicious:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.marker),)


def test_never_runs_code_of_a_pickle(tmp_path: Path) -> None:
    marker = tmp_path / "was-run"
    path, bare = tmp_path / "weights.pt", tmp_path / "bare.pt"
    torch.save({"model": _Malicious(marker)}, path)
    bare.write_bytes(pickle.dumps(_Malicious(marker), protocol=2))
    _refused(path, r"wants to run code \((posix|os|nt)\.mkdir\)")
    with pytest.raises(CheckpointError):
        load_checkpoint(bare)
    assert not marker.exists()


def test_refuses_torchscript(tmp_path: Path) -> None:
    path = tmp_path / "program.pt"
    torch.jit.script(torch.nn.Linear(2, 2)).save(str(path))
    _refused(path, "TorchScript|not opened|damaged")


@pytest.mark.parametrize(
    ("content", "pattern"),
    [
        ([1, 2], "holds a list, not a state dict"),
        ({"epoch": 3}, "entry 'epoch' is a int"),
        ({}, "holds no tensors"),
        ({"fc.weight": torch.zeros(2, 2)}, "not a SqueezeSAM network of a known preset.*paper"),
    ],
)
def test_refuses_what_is_no_state_dict(content: object, pattern: str, tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    torch.save(content, path)
    _refused(path, pattern)


def _drop(state: State) -> None:
    del state["encoder.stem.0.conv.weight"]


def _add(state: State) -> None:
    state["encoder.extra.weight"] = torch.zeros(1)


def _reshape(state: State) -> None:
    state["iou_token"] = torch.zeros(1, 64)


def _poison(state: State) -> None:
    state["iou_token"][0, :2] = torch.tensor([float("nan"), float("inf")])


def _negate(state: State) -> None:
    state["encoder.stem.0.norm.running_var"][0] = -1.0


def _integers(state: State) -> None:
    state["iou_token"] = torch.zeros(1, 128, dtype=torch.int64)


@pytest.mark.parametrize(
    ("damage", "pattern"),
    [
        (_drop, r"'nano'\) lacks tensors: encoder.stem.0.conv.weight"),
        (_add, "unexpected tensors: encoder.extra.weight"),
        (_reshape, "misshapen tensors: iou_token is 1x64 instead of 1x128"),
        (_poison, "iou_token holds 2 of 128 values that are not finite"),
        (_negate, "encoder.stem.0.norm.running_var holds a negative variance"),
        (_integers, "iou_token is torch.int64"),
    ],
)
def test_names_the_tensor_that_is_wrong(
    damage: Callable[[State], None], pattern: str, state: State, tmp_path: Path
) -> None:
    path = tmp_path / "weights.safetensors"
    damage(state)
    save_file(state, path)
    _refused(path, pattern)


def test_refuses_a_safetensors_header_that_lies(state: State, tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    header = json.dumps({"a": {"dtype": "F32", "shape": [4], "data_offsets": [0, 4]}}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + b"\0\0\0\0")
    _refused(path, "truncated or damaged safetensors")


def test_without_a_path_the_bundled_weights_or_one_sentence() -> None:
    from sqsam_deploy.checkpoint import bundled_checkpoint

    try:
        path = bundled_checkpoint()
    except CheckpointError as error:
        assert "--checkpoint" in str(error)
        with pytest.raises(CheckpointError, match="no reference checkpoint"):
            load_checkpoint()
        return
    checkpoint = load_checkpoint()
    assert checkpoint.name == path.name
    assert checkpoint.config == NANO
