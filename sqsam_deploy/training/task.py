"""The interface of a task for the training loop: a network, batches, losses and scores."""

from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from sqsam_deploy.training.distributed import Processes
from sqsam_deploy.training.recipe import AnyRecipe


class Task(Protocol):
    """One thing to learn."""

    @property
    def recipe(self) -> AnyRecipe:
        """The run."""
        ...

    @property
    def loss_names(self) -> tuple[str, ...]:
        """Names of the losses, the one that is minimized first."""
        ...

    @property
    def score_names(self) -> tuple[str, ...]:
        """Names of the scores on the validation photos."""
        ...

    def new_model(self) -> nn.Module:
        """The untrained network."""
        ...

    def batches(self, processes: Processes) -> Dataset[Any]:
        """Maps a step's number to this process's batch, a NamedTuple of tensors."""
        ...

    def losses(self, network: nn.Module, batch: Any) -> tuple[Tensor, ...]:
        """Scalars, in the order of `loss_names`; runs under autocast."""
        ...

    def scores(self, model: nn.Module, device: torch.device) -> dict[str, float]:
        """The scores of `score_names`, on the validation photos."""
        ...

    def describe_data(self) -> dict[str, int]:
        """Training photos of each source."""
        ...


def batch_to(batch: Any, device: torch.device) -> Any:
    """A batch, on a device."""
    tensors: list[Tensor] = [tensor.to(device, non_blocking=True) for tensor in batch]
    return type(batch)(*tensors)
