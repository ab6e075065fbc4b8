"""Opening a weights file: which format it is, and its tensors, without running anything in it."""

import io
import pickle
import pickletools
import re
import warnings
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

import torch
from torch import Tensor

from sqsam_deploy.checkpoint.key_names import KeyNames, key_names_of, with_own_keys
from sqsam_deploy.checkpoint.unwrapping import find_network
from sqsam_deploy.errors import CheckpointError

FileFormat = Literal["safetensors", "torch"]

_LFS_POINTER = b"version https://git-lfs"
_ZIP = b"PK\x03\x04"
#: First byte of every pickle since protocol 2, torch's format before 1.6.
_PICKLE = b"\x80"
#: Five a tensor; the state of a training run has some 8,000.
_MAX_TUPLES = 100_000
#: 100 bytes a tensor, and what the file says of itself.
_MAX_HEADER = 4 << 20


@dataclass(frozen=True)
class StateFile:
    """A weights file's content.

    Attributes:
        tensors: The state dict under this project's keys, dtypes as stored.
        part: Where in the file it lies: "model_ema", "state_dict.model"; empty for a bare one.
        metadata: The safetensors header's `__metadata__`; empty for torch files.
        format: What kind of file it is.
        key_names: Whose names its tensors have.
    """

    tensors: dict[str, Tensor]
    part: str
    metadata: dict[str, str]
    format: FileFormat
    key_names: KeyNames

    @property
    def license(self) -> str | None:
        """The license note among the metadata; files of earlier versions spell it `licence`."""
        return self.metadata.get("license") or self.metadata.get("licence")


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
    part = find_network(content, path)
    tensors = with_own_keys(part.tensors, path)
    return StateFile(tensors, part.name, metadata, file_format, key_names_of(part.tensors))


def _recognize(path: Path) -> FileFormat:
    if path.is_dir():
        raise CheckpointError(f"{path} is a directory: give the weights file itself")
    if not path.exists():
        raise CheckpointError(f"{path} does not exist")
    if not path.is_file():
        raise CheckpointError(f"{path} is a device or a pipe: give the weights file itself")
    with path.open("rb") as file:
        head = file.read(64)
    if not head:
        raise CheckpointError(f"{path} is empty (0 bytes): copy or download it again")
    if head.startswith(_LFS_POINTER):
        raise CheckpointError(f"{path} is a Git LFS pointer, not the weights: run 'git lfs pull'")
    # A safetensors file starts with the header's length (8 bytes), which may look like a pickle,
    # and the header, a JSON object.
    if head[8:9] == b"{":
        return "safetensors"
    if head.startswith((_ZIP, _PICKLE)):
        return "torch"
    if path.suffix == ".safetensors":
        return "safetensors"
    raise CheckpointError(f"{path} is neither a safetensors nor a torch file")


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    from safetensors import SafetensorError, safe_open

    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
    if _MAX_HEADER < length < path.stat().st_size:
        raise CheckpointError(f"{path} is no weights file: its header has {length} bytes")
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
            return tensors, dict(file.metadata() or {})
    except (SafetensorError, AttributeError, RuntimeError, ValueError, TypeError) as error:
        # AttributeError and the others: an element type that torch does not have.
        raise CheckpointError(f"{path} is truncated or damaged safetensors ({error})") from error


def _read_torch(path: Path) -> object:
    try:
        _check_pickles(path)
        with warnings.catch_warnings():
            # torch warns of a TorchScript archive before it refuses it.
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except CheckpointError:
        raise
    except pickle.UnpicklingError as error:
        raise CheckpointError(_unpickling_sentence(path, str(error))) from error
    except Exception as error:  # of torch, zipfile and pickle, whatever the damage makes of them
        raise CheckpointError(_damaged(path)) from error


def _check_pickles(path: Path) -> None:
    """Refuses what would crash torch's reader, or fill the memory, before it sees the file."""
    with path.open("rb") as file:
        if file.read(4) != _ZIP:
            file.seek(0)
            # Before torch 1.6 a file began with magic number, protocol, system, content and keys.
            for _ in range(5):
                _refuse_many_tuples(file, path)
            return
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        if any(entry.filename.endswith("/constants.pkl") for entry in entries):
            raise CheckpointError(
                f"{path} is a TorchScript program, not weights: save its state_dict()"
            )
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
            raise CheckpointError(
                f"{path} is a compressed zip, which torch.save never writes: extract it first"
            )
        for entry in entries:
            if entry.filename.endswith("/data.pkl") and entry.file_size <= path.stat().st_size:
                _refuse_many_tuples(io.BytesIO(archive.read(entry)), path)


def _refuse_many_tuples(stream: IO[bytes], path: Path) -> None:
    """Hashing a tuple nested 200,000 deep, as a key, overflows the stack of any Python."""
    names = (opcode.name for opcode, _, _ in pickletools.genops(stream))
    if sum(name.startswith("TUPLE") for name in names) > _MAX_TUPLES:
        raise CheckpointError(f"{path} is no weights file: its pickle nests too deeply")


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
    return _damaged(path)


def _damaged(path: Path) -> str:
    return f"{path} is truncated or damaged: torch cannot read it as a weights file"
