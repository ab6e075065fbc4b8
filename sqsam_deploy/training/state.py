"""The state of a run on disk, and the weights it makes."""

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sqsam_deploy._internal.atomic import atomic_write
from sqsam_deploy.errors import CheckpointError

#: Format of the safetensors files this package trains.
FORMAT = "sqsam-checkpoint/1"


@dataclass(frozen=True)
class RunState:
    """Everything a run needs to go on after it was killed.

    The samples need no state: the batch of step n is a function of the seed and n.

    Attributes:
        step: Optimizer steps done.
        seconds: Time trained so far, for a budget in minutes.
        recipe: Fingerprint of the recipe; a run only resumes its own.
        model: Weights.
        average: Averaged weights.
        average_updates: How often the average was updated.
        optimizer: State of the optimizer.
    """

    step: int
    seconds: float
    recipe: str
    model: dict[str, Tensor]
    average: dict[str, Tensor]
    average_updates: int
    optimizer: dict[str, Any]


def save_state(path: Path, state: RunState) -> None:
    """Writes `last.pt`.

    Raises:
        OSError: The disk is full or the folder cannot be written.
    """
    # Writing a file itself, torch turns what the operating system says into a RuntimeError.
    content = io.BytesIO()
    torch.save(vars(state), content)
    atomic_write(path, content.getvalue())


def load_state(path: Path) -> RunState:
    """Reads `last.pt`.

    Raises:
        CheckpointError: The file is damaged or not a run's state.
    """
    try:
        return RunState(**torch.load(path, map_location="cpu", weights_only=True))
    except Exception as error:
        raise CheckpointError(
            f"{path} is not the state of a training run ({error}): delete it to start anew"
        ) from error


def save_weights(path: Path, weights: dict[str, Tensor], metadata: dict[str, Any]) -> None:
    """Writes weights as float16 safetensors, under this package's key names.

    Args:
        path: The file.
        weights: A state dict; counters (`num_batches_tracked`) are kept as they are.
        metadata: Strings stay as they are, everything else becomes JSON; `format` is added.
    """
    from safetensors.torch import save

    half = {
        name: (value.half() if value.is_floating_point() else value).contiguous().cpu()
        for name, value in weights.items()
    }
    texts = {
        key: value if isinstance(value, str) else json.dumps(value, sort_keys=True)
        for key, value in {"format": FORMAT, **metadata}.items()
    }
    atomic_write(path, save(half, metadata=texts))
