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
        raise CheckpointError(
            f"{path} is not a SqueezeSAM network of a known preset ({', '.join(PRESETS)}): "
            f"its {len(tensors)} tensors start with {_listed(sorted(tensors))}"
        )
    return best


def _shared(tensors: Mapping[str, Tensor], config: ModelConfig) -> float:
    expected = expected_shapes(config)
    same = sum(
        key in tensors and tuple(tensors[key].shape) == shape for key, shape in expected.items()
    )
    return same / len(expected)


def match_keys(tensors: Mapping[str, Tensor], config: ModelConfig, path: Path) -> dict[str, Tensor]:
    """The tensors, when they are exactly those of the preset (counters may be missing).

    Raises:
        CheckpointError: Keys are missing, unexpected or misshapen.
    """
    expected = expected_shapes(config)
    missing = [key for key in expected if key not in tensors and not key.endswith(_COUNTER)]
    unexpected = [key for key in tensors if key not in expected]
    misshapen = [
        f"{key} is {_size(tensors[key].shape)} instead of {_size(shape)}"
        for key, shape in expected.items()
        if key in tensors and tuple(tensors[key].shape) != shape
    ]
    for problem, keys in (
        ("lacks", missing),
        ("has unexpected", unexpected),
        ("has misshapen", misshapen),
    ):
        if keys:
            raise CheckpointError(
                f"{path} (preset '{config.name}') {problem} tensors: {_listed(keys)}"
            )
    counters = {key: torch.tensor(0) for key in expected if key.endswith(_COUNTER)}
    return counters | dict(tensors)


def check_values(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Refuses what would silently become NaN or noise.

    Raises:
        CheckpointError: A tensor has a dtype without fractions, a non-finite value, or a
            negative variance.
    """
    for key, value in tensors.items():
        if key.endswith(_COUNTER):
            continue
        if not value.is_floating_point():
            raise CheckpointError(f"{path}: tensor {key} is {value.dtype}, not floating point")
        bad = int((~torch.isfinite(value)).sum())
        if bad:
            raise CheckpointError(
                f"{path}: tensor {key} holds {bad} of {value.numel()} values that are not finite"
            )
        if key.endswith("running_var") and bool((value < 0).any()):
            raise CheckpointError(f"{path}: tensor {key} holds a negative variance")


def as_float32(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same values in single precision; counters stay integers."""
    return {
        key: value if key.endswith(_COUNTER) else value.to(torch.float32)
        for key, value in tensors.items()
    }


def _size(shape: Sequence[int]) -> str:
    return "x".join(str(n) for n in shape) or "scalar"


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"
