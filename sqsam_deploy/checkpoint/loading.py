"""From a weights file to a network that is ready to run."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import torch
from torch import Tensor

from sqsam_deploy.checkpoint.bundled import DEFAULT, weights_file
from sqsam_deploy.checkpoint.matching import (
    as_float32,
    expected_shapes,
    find_preset,
    match_keys,
)
from sqsam_deploy.checkpoint.reading import StateFile, read_state_file
from sqsam_deploy.model.config import ModelConfig
from sqsam_deploy.model.network import SqueezeSAM


@dataclass(frozen=True)
class Checkpoint:
    """A network with trained weights, and where they come from.

    Attributes:
        model: The network, float32, in eval mode.
        config: Its preset.
        name: The file's name.
        sha256: Of the file's bytes, lower-case hex.
        metadata: What the file says of itself (safetensors only).
        license: The license note among the metadata.
    """

    model: SqueezeSAM
    config: ModelConfig
    name: str
    sha256: str
    metadata: dict[str, str]
    license: str | None


def load_checkpoint(source: str | PathLike[str] = DEFAULT) -> Checkpoint:
    """Reads a weights file and builds the network it belongs to.

    Args:
        source: The name of bundled weights (`paper`, `nano`), or a file: `.safetensors`, or `.pt`
            / `.pth` with plain tensors, under this project's key names or those of
            December 2023, bare or in the wrappers of training code (`{"model": ...}`,
            `state_dict`, `module.`, `_orig_mod.`, Lightning's `model.`). Averaged weights
            (`model_ema`, `ema`, `average`) are taken before raw ones.

    Raises:
        UsageError: No bundled weights have that name.
        CheckpointError: The file is missing, damaged, unsafe or of another network.
    """
    path = weights_file(source)
    return build_checkpoint(read_state_file(path), path)


def build_checkpoint(state: StateFile, path: Path) -> Checkpoint:
    """The checkpoint in a file that was read; `path` is where from.

    Raises:
        CheckpointError: A key is missing, unexpected, misshapen or holds unusable values.
    """
    config = find_preset(state.tensors, path)
    tensors = match_keys(state.tensors, expected_shapes(config), config.name, path)
    return Checkpoint(
        model=_filled(as_float32(tensors, path), config),
        config=config,
        name=path.name,
        sha256=_sha256(path),
        metadata=state.metadata,
        license=state.license,
    )


def _filled(tensors: Mapping[str, Tensor], config: ModelConfig) -> SqueezeSAM:
    # The random start values are overwritten; the caller's random state must not notice them.
    with torch.random.fork_rng(devices=[]):
        model = SqueezeSAM(config)
    model.load_state_dict(tensors)
    return model.eval()


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()
