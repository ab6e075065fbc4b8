import hashlib
import json
import os
import pickle
import re
import struct
import zipfile
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


@pytest.mark.parametrize("key", ["license", "licence"])
def test_safetensors_comes_back_with_metadata_and_hash(
    key: str, model: SqueezeSAM, tmp_path: Path
) -> None:
    path = tmp_path / "weights.safetensors"
    save_checkpoint(model, path, {key: "CC0-1.0", "epochs": "3"})
    checkpoint = load_checkpoint(path)
    assert checkpoint.config == NANO
    assert checkpoint.name == "weights.safetensors"
    assert checkpoint.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert checkpoint.license == "CC0-1.0"
    assert checkpoint.metadata["epochs"] == "3"
    assert not checkpoint.model.training
    assert list(tmp_path.iterdir()) == [path]
    _assert_holds(path, model.state_dict())


def _under(prefix: str, state: State) -> State:
    return {prefix + key: value for key, value in state.items()}


def _zeros(state: State) -> State:
    return {key: torch.zeros_like(value) for key, value in state.items()}


@pytest.mark.parametrize(
    "wrapped",
    [
        lambda state: state,
        lambda state: {"model": state, "epoch": 3},
        lambda state: _under("module.", state),
        lambda state: {"model": _under("module.", state)},
        lambda state: {"state_dict": state},
        lambda state: {"model_state_dict": state, "optimizer_state_dict": {"state": {}}},
        lambda state: {"state_dict": _under("model.", state), "callbacks": {}, "loops": {}},
        lambda state: {"state_dict": _under("net.", state) | {"loss.weight": torch.ones(3)}},
        lambda state: _under("_orig_mod.", state),
        lambda state: {"state_dict": _under("model._orig_mod.module.", state)},
        lambda state: {k.replace("encoder.", "encoder._orig_mod.", 1): v for k, v in state.items()},
        lambda state: {"model": state, "optimizer": {"state": {0: _zeros(state)}}},
        lambda state: {"model": state, "optim_state": _zeros(state)},
        lambda state: {"model": state, "ema": None},
        lambda state: {
            key: torch.nn.Parameter(v, v.is_floating_point() and v.ndim > 1)
            if v.is_floating_point()
            else v
            for key, v in state.items()
        },
    ],
)
def test_torch_files_in_every_wrapping(
    wrapped: Callable[[State], object], state: State, tmp_path: Path
) -> None:
    path = tmp_path / "weights.pt"
    torch.save(wrapped(state), path)
    _assert_holds(path, state)


@pytest.mark.parametrize(
    ("name", "wrapped"),
    [
        ("model_ema", lambda raw, average: {"model": raw, "model_ema": average}),
        ("state_dict_ema", lambda raw, average: {"state_dict_ema": average, "state_dict": raw}),
        ("ema.module", lambda raw, average: {"model": raw, "ema": {"module": average, "n": 3}}),
        ("average", lambda raw, average: {"model": raw, "average": average, "optimizer": {}}),
        (
            "swa.module",
            lambda raw, average: {
                "model": raw,
                "swa": _under("module.", average) | {"n_averaged": torch.tensor(5)},
            },
        ),
        (
            "best.module",
            lambda raw, average: {
                "last": raw,
                "best": _under("module.", average) | {"n_averaged": torch.tensor(5)},
            },
        ),
        (
            "state_dict.ema_model.module",
            lambda raw, average: {
                "state_dict": _under("model.", raw) | _under("ema_model.module.", average)
            },
        ),
        # Lightning's WeightAveraging.
        ("", lambda raw, average: {"state_dict": average, "current_model_state": raw}),
    ],
)
def test_averaged_weights_are_taken_and_said(
    name: str,
    wrapped: Callable[[State, State], object],
    state: State,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "weights.pt"
    torch.save(wrapped(_zeros(state), state), path)
    _assert_holds(path, state)
    said = capsys.readouterr().err
    assert (f"({name})" in said) == bool(name)


def test_the_state_of_a_training_run_gives_its_averaged_weights(
    state: State, tmp_path: Path
) -> None:
    from sqsam_deploy.training.state import RunState, save_state

    path = tmp_path / "last.pt"
    moments = {"state": {0: {"exp_avg": torch.zeros(3)}}, "param_groups": []}
    save_state(path, RunState(1, 1.0, "x", _zeros(state), state, 1, moments))
    _assert_holds(path, state)


KEY = "encoder.patch_embedding.conv.weight"


@pytest.mark.parametrize(
    ("names", "content"),
    [
        (
            (KEY, "image_encoder.proj.0.weight"),
            lambda s: s | {"image_encoder.proj.0.weight": s[KEY]},
        ),
        ((KEY, "patch_embed.proj.0.weight"), lambda s: s | {"patch_embed.proj.0.weight": s[KEY]}),
        (("top level", "module.iou_token"), lambda s: s | _under("module.", s)),
        ((KEY, f"_orig_mod.{KEY}"), lambda s: s | {f"_orig_mod.{KEY}": s[KEY]}),
        (("model.module", "net"), lambda s: {"model": _under("module.", s), "net": _zeros(s)}),
        (("teacher", "student"), lambda s: {"teacher": s, "student": _zeros(s)}),
        (("ema_fast", "ema_slow"), lambda s: {"model": s, "ema_fast": s, "ema_slow": s}),
        (
            ("ema.shadow_params.0",),
            lambda s: {"model": s, "ema": {"shadow_params": list(s.values())}},
        ),
        (("model_ema.encoderstem",), lambda s: s | {"model_ema.encoderstem": s[KEY]}),
        (("mask_tokens",), lambda s: {"model": s, "ema": {"mask_tokens": s["mask_tokens"]}}),
    ],
)
def test_two_networks_and_two_tensors_of_one_name_are_refused(
    names: tuple[str, ...], content: Callable[[State], object], state: State, tmp_path: Path
) -> None:
    path = tmp_path / "weights.pt"
    torch.save(content(state), path)
    for name in names:
        _refused(path, re.escape(name))


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
        (b"\x80\x02 but no pickle", "damaged"),
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
    _refused(path, "TorchScript")


@pytest.mark.parametrize(
    ("content", "pattern"),
    [
        ([1, 2], "holds a list, not a state dict"),
        ({"epoch": 3}, "holds no tensors.*'epoch'"),
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


def _in_doubles(state: State) -> None:
    state["iou_token"] = state["iou_token"].double()
    state["iou_token"][0, 5] = 1e300


def _in_bytes(state: State) -> None:
    state["iou_token"] = state["iou_token"].to(torch.float8_e4m3fn)


@pytest.mark.parametrize(
    "odd",
    [
        lambda t: t.to_sparse(),
        lambda t: t.to_sparse_csr(),
        lambda t: t.to("meta"),
        lambda t: torch.quantize_per_tensor(t, 0.1, 0, torch.qint8),
        lambda t: torch.nested.nested_tensor([t[0], t[0, :2]]),
        lambda t: torch.nested.nested_tensor([t[0], t[0, :2]], layout=torch.jagged),
        lambda t: t.to(torch.float8_e5m2),
        lambda t: t.to(torch.complex64),
        lambda t: t > 0,
        lambda t: torch.empty_strided((1 << 40, 1 << 20), (0, 0)),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_tensors_of_an_odd_kind_are_refused_by_name(
    odd: Callable[[Tensor], Tensor], state: State, tmp_path: Path
) -> None:
    path = tmp_path / "weights.pt"
    torch.save(state | {"iou_token": odd(state["iou_token"])}, path)
    _refused(path, "iou_token|damaged")


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2, zipfile.ZIP_DEFLATED])
def test_refuses_a_compressed_zip(method: int, state: State, tmp_path: Path) -> None:
    plain, path = tmp_path / "plain.pt", tmp_path / "weights.pt"
    torch.save({"iou_token": state["iou_token"]}, plain)
    with zipfile.ZipFile(plain) as source, zipfile.ZipFile(path, "w") as target:
        for entry in source.infolist():
            target.writestr(entry.filename, source.read(entry), method)
    _refused(path, "compressed")


def _nested(depth: int, opcode: bytes) -> bytes:
    """A pickle of a dictionary whose key is a tuple, or whose value a list, of that depth."""
    if opcode == pickle.TUPLE1:
        return b"\x80\x02})" + opcode * depth + b"K\x01s."
    return b"\x80\x02}X\x01\0\0\0a" + b"]" * (depth + 1) + opcode * depth + b"s."


@pytest.mark.parametrize("opcode", [pickle.TUPLE1, pickle.APPEND])
@pytest.mark.parametrize("zipped", [True, False])
def test_refuses_a_pickle_that_nests_deeply(opcode: bytes, zipped: bool, tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    deep = _nested(200_000, opcode)
    if zipped:
        torch.save({}, path)
        with zipfile.ZipFile(path) as source:
            names = {entry.filename: source.read(entry) for entry in source.infolist()}
        with zipfile.ZipFile(path, "w") as target:
            for name, content in names.items():
                target.writestr(name, deep if name.endswith("data.pkl") else content)
    else:
        torch.save({}, path, _use_new_zipfile_serialization=False)
        path.write_bytes(path.read_bytes().replace(b"\x80\x02}q\x00.", deep, 1))
    _refused(path, "weights file|holds no tensors")


def test_refuses_a_dictionary_that_is_held_a_million_times(tmp_path: Path) -> None:
    level: dict[str, object] = {"a": torch.zeros(1)}
    for _ in range(7):
        level = {str(index): level for index in range(9)}
    torch.save(level, tmp_path / "weights.pt")
    _refused(tmp_path / "weights.pt", "nests too many")


def test_refuses_a_huge_safetensors_header(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    header = json.dumps({"__metadata__": {"x": "y" * (5 << 20)}}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header)
    _refused(path, "header")


def test_refuses_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "weights.pt")
    _refused(tmp_path / "weights.pt", "pipe")


def test_a_header_whose_length_looks_like_a_pickle(model: SqueezeSAM, tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    save_checkpoint(model, path, {"filler": ""})
    missing = (0x80 - path.read_bytes()[0]) % 256
    save_checkpoint(model, path, {"filler": "x" * missing})
    assert path.read_bytes()[:1] == b"\x80"
    _assert_holds(path, model.state_dict())


@pytest.mark.parametrize(
    ("damage", "pattern"),
    [
        (_drop, r"'nano'\) lacks tensors: encoder.stem.0.conv.weight"),
        (_add, "unexpected tensors: encoder.extra.weight"),
        (_reshape, "misshapen tensors: iou_token is 1x64 instead of 1x128"),
        (_poison, "iou_token holds 2 of 128 values that are not finite"),
        (_negate, "encoder.stem.0.norm.running_var holds a negative variance"),
        (_integers, "iou_token is torch.int64"),
        (_in_doubles, "iou_token holds 1 of 128 values that are not finite as float32"),
        (_in_bytes, "iou_token is torch.float8_e4m3fn"),
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
