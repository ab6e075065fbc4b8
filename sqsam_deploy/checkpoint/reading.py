"""Opening a weights file: which format it is, and its tensors, without running anything in it."""

import pickle
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from sqsam_deploy.checkpoint.layouts import LayoutName, layout_of, to_own_layout
from sqsam_deploy.errors import CheckpointError

FileFormat = Literal["safetensors", "torch"]

_LFS_POINTER = b"version https://git-lfs"
_ZIP = b"PK\x03\x04"
#: First byte of every pickle since protocol 2, torch's format before 1.6.
_PICKLE = b"\x80"
_DATA_PARALLEL_PREFIX = "module."


@dataclass(frozen=True)
class StateFile:
    """A weights file's content.

    Attributes:
        tensors: The state dict under this project's keys, dtypes as stored.
        metadata: The safetensors header's `__metadata__`; empty for torch files.
        format: What kind of file it is.
        layout: Whose key names it uses.
    """

    tensors: dict[str, Tensor]
    metadata: dict[str, str]
    format: FileFormat
    layout: LayoutName


def read_state_file(path: Path) -> StateFile:
    """Reads a file of either format, recognized by its content, not by its name.

    Raises:
        CheckpointError: The file is missing, empty, damaged, unsafe or holds no state dict.
    """
    file_format = _recognize(path)
    content: object
    metadata: dict[str, str] = {}
    if file_format == "safetensors":
        content, metadata = _read_safetensors(path)
    else:
        content = _read_torch(path)
    state = _without_prefix(_state_dict(content, path))
    return StateFile(to_own_layout(state), metadata, file_format, layout_of(state))


def _recognize(path: Path) -> FileFormat:
    if path.is_dir():
        raise CheckpointError(f"{path} is a directory: give the weights file itself")
    if not path.exists():
        raise CheckpointError(f"{path} does not exist")
    with path.open("rb") as file:
        head = file.read(64)
    if not head:
        raise CheckpointError(f"{path} is empty (0 bytes): copy or download it again")
    if head.startswith(_LFS_POINTER):
        raise CheckpointError(f"{path} is a Git LFS pointer, not the weights: run 'git lfs pull'")
    if head.startswith((_ZIP, _PICKLE)):
        return "torch"
    # A safetensors file starts with the header's length (8 bytes) and the header, a JSON object.
    if head[8:9] == b"{" or path.suffix == ".safetensors":
        return "safetensors"
    raise CheckpointError(f"{path} is neither a safetensors nor a torch file")


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
            return tensors, dict(file.metadata() or {})
    except SafetensorError as error:
        raise CheckpointError(f"{path} is truncated or damaged safetensors ({error})") from error


def _read_torch(path: Path) -> object:
    try:
        with warnings.catch_warnings():
            # torch warns of a TorchScript archive before it refuses it.
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(_unpickling_sentence(path, str(error))) from error
    except (RuntimeError, EOFError, KeyError, ValueError, TypeError, IndexError) as error:
        if "TorchScript" in str(error):
            raise CheckpointError(
                f"{path} is a TorchScript program, not weights: save its state_dict()"
            ) from error
        raise CheckpointError(
            f"{path} is truncated or damaged: torch cannot read it as a weights file"
        ) from error


def _unpickling_sentence(path: Path, reason: str) -> str:
    wanted = re.search(r"GLOBAL (\S+)", reason)
    if wanted:
        return (
            f"{path} is a pickle that wants to run code ({wanted[1]}) and was not opened: "
            "save the bare state_dict(), best as .safetensors"
        )
    if "Weights only load failed" in reason:
        return (
            f"{path} holds more than tensors and was not opened: "
            "save the bare state_dict(), best as .safetensors"
        )
    return f"{path} is truncated or damaged: torch cannot read it as a weights file"


def _state_dict(content: object, path: Path) -> dict[str, Tensor]:
    """The tensors by key, out of a `{"model": ...}` wrapper if there is one."""
    if isinstance(content, Mapping) and isinstance(content.get("model"), Mapping):
        content = content["model"]
    if not isinstance(content, Mapping):
        kind = type(content).__name__
        raise CheckpointError(f"{path} holds a {kind}, not a state dict of named tensors")
    for key, value in content.items():
        if not isinstance(key, str) or not isinstance(value, Tensor):
            raise CheckpointError(
                f"{path} is not a state dict: its entry {key!r} is a {type(value).__name__}"
            )
    if not content:
        raise CheckpointError(f"{path} holds no tensors")
    return dict(content)


def _without_prefix(state: dict[str, Tensor]) -> dict[str, Tensor]:
    if all(key.startswith(_DATA_PARALLEL_PREFIX) for key in state):
        return {key.removeprefix(_DATA_PARALLEL_PREFIX): value for key, value in state.items()}
    return state
