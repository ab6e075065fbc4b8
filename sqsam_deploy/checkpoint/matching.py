"""Which preset a state dict belongs to, and whether it is complete and usable."""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from sqsam_deploy.errors import CheckpointError
from sqsam_deploy.model.config import PRESETS, ModelConfig
from sqsam_deploy.model.network import SqueezeSAM

#: BatchNorm's training counter; tools strip it, and inference does not read it.
_COUNTER = "num_batches_tracked"


@cache
def expected_shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Every state-dict key of the preset and its shape."""
    with torch.device("meta"):
        model = SqueezeSAM(config)
    return {key: tuple(value.shape) for key, value in model.state_dict().items()}


def find_preset(tensors: Mapping[str, Tensor], path: Path) -> ModelConfig:
    """The preset that shares the most tensors, by name and shape, with the state dict.

    Raises:
        CheckpointError: The best one shares less than half of its tensors.
    """
    best = max(PRESETS.values(), key=lambda config: _shared(tensors, config))
    if _shared(tensors, best) < 0.5:
        if "head.weight" in tensors:
            raise CheckpointError(
                f"{path} is a saliency network, which takes no prompts (it is for --saliency)"
            )
        raise CheckpointError(
            f"{path} is not a SqueezeSAM network of a known preset ({', '.join(PRESETS)}): "
            f"its {len(tensors)} tensors start with {_listed(sorted(tensors))}"
        )
    return best


def _shared(tensors: Mapping[str, Tensor], config: ModelConfig) -> float:
    expected = expected_shapes(config)
    same = sum(key in tensors and _shape(tensors[key]) == shape for key, shape in expected.items())
    return same / len(expected)


def match_keys(
    tensors: Mapping[str, Tensor], expected: Mapping[str, tuple[int, ...]], name: str, path: Path
) -> dict[str, Tensor]:
    """The tensors, when they are exactly the expected ones (counters may be missing).

    Args:
        tensors: What the file holds.
        expected: Every key and its shape.
        name: Of the preset, for errors.
        path: The file, for errors.

    Raises:
        CheckpointError: Keys are missing, unexpected or misshapen.
    """
    missing = [key for key in expected if key not in tensors and not key.endswith(_COUNTER)]
    unexpected = [key for key in tensors if key not in expected]
    misshapen = [
        f"{key} is {_size(_shape(tensors[key]))} instead of {_size(shape)}"
        for key, shape in expected.items()
        if key in tensors and _shape(tensors[key]) != shape
    ]
    for problem, keys in (
        ("lacks", missing),
        ("has unexpected", unexpected),
        ("has misshapen", misshapen),
    ):
        if keys:
            raise CheckpointError(f"{path} (preset '{name}') {problem} tensors: {_listed(keys)}")
    counters = {key: torch.tensor(0) for key in expected if key.endswith(_COUNTER)}
    return counters | dict(tensors)


def as_float32(tensors: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    """The same values in single precision; counters stay integers.

    Raises:
        CheckpointError: A tensor is of an unusual kind, holds a value that is not finite in
            single precision, or a negative variance.
    """
    return {key: _usable(key, value, path) for key, value in tensors.items()}


def _usable(key: str, value: Tensor, path: Path) -> Tensor:
    counter = key.endswith(_COUNTER)
    kind = _unusual_kind(value, _COUNTERS if counter else _FLOATS)
    if kind:
        raise CheckpointError(
            f"{path}: tensor {key} is {kind}: save it as a plain float32 or float16 tensor"
        )
    if counter:
        return value
    single = value.detach().to(torch.float32)
    bad = int((~torch.isfinite(single)).sum())
    if bad:
        raise CheckpointError(
            f"{path}: tensor {key} holds {bad} of {value.numel()} values that are not finite"
            + (f" as float32 ({value.dtype})" if value.dtype == torch.float64 else "")
        )
    if key.endswith("running_var") and bool((single < 0).any()):
        raise CheckpointError(f"{path}: tensor {key} holds a negative variance")
    return single


_FLOATS = (torch.float32, torch.float16, torch.bfloat16, torch.float64)
_COUNTERS = (torch.int64, torch.int32, *_FLOATS)


def _unusual_kind(value: Tensor, dtypes: Sequence[torch.dtype]) -> str | None:
    if value.is_nested:
        return "nested"
    if value.is_meta:
        return "on the meta device, without values"
    if value.layout != torch.strided:
        return f"stored as {value.layout}"
    return None if value.dtype in dtypes else str(value.dtype)


def _shape(value: Tensor) -> tuple[int, ...]:
    # A nested tensor has no shape; it is refused as what it is.
    return () if value.is_nested else tuple(value.shape)


def _size(shape: Sequence[int]) -> str:
    return "x".join(str(n) for n in shape) or "scalar"


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"
