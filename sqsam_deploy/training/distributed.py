"""One process, or several that `torchrun` started."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from sqsam_deploy.errors import UsageError


@dataclass(frozen=True)
class Processes:
    """This process among those of the run.

    Attributes:
        rank: 0 to world_size - 1; 0 writes files and shows progress.
        world_size: Number of processes.
        device: Where this process computes.
    """

    rank: int
    world_size: int
    device: torch.device

    @property
    def leads(self) -> bool:
        """Whether this process writes the files."""
        return self.rank == 0


def join(device: str) -> Processes:
    """Joins the process group if `torchrun` started this process (it sets WORLD_SIZE).

    Args:
        device: "auto", "cpu" or "cuda".

    Raises:
        UsageError: It is "cuda", and there is no GPU that torch can use.
    """
    has_gpu = torch.cuda.is_available()
    if device == "auto":
        device = "cuda" if has_gpu else "cpu"
    if device == "cuda" and not has_gpu:
        raise UsageError(
            "--device cuda: there is no CUDA GPU here, or this torch was built without CUDA: "
            "leave it out"
        )
    world_size = int(os.environ.get("WORLD_SIZE", "1"))
    if world_size == 1:
        return Processes(0, 1, torch.device(device))
    local = int(os.environ["LOCAL_RANK"])
    place = torch.device("cuda", local) if device == "cuda" else torch.device(device)
    if place.type == "cuda":
        torch.cuda.set_device(place)
    torch.distributed.init_process_group("nccl" if place.type == "cuda" else "gloo")
    return Processes(int(os.environ["RANK"]), world_size, place)


def leave(processes: Processes) -> None:
    """Leaves the process group."""
    if processes.world_size > 1:
        torch.distributed.destroy_process_group()


def distribute(model: nn.Module, processes: Processes) -> nn.Module:
    """Gradients averaged over all processes; on CUDA BatchNorm's statistics too.

    SyncBatchNorm exists on CUDA only; on the CPU each process normalizes by its own batch, and the
    running statistics are those of rank 0.
    """
    if processes.world_size == 1:
        return model
    if processes.device.type != "cuda":
        return DistributedDataParallel(model)
    model = nn.SyncBatchNorm.convert_sync_batchnorm(model)  # type: ignore[no-untyped-call]
    return DistributedDataParallel(model, device_ids=[processes.device])


def share(value: float, processes: Processes) -> float:
    """Rank 0's number, in every process.

    The learning rate follows the clock when a run has a time budget; with each process on its own
    clock, their weights would drift apart.
    """
    if processes.world_size == 1:
        return value
    number = torch.tensor([value], device=processes.device, dtype=torch.float64)
    torch.distributed.broadcast(number, 0)
    return float(number.item())


@contextmanager
def wait_for_leader(processes: Processes) -> Iterator[None]:
    """Rank 0 goes through the block first, the others after it: it fills caches for them."""
    if not processes.leads:
        torch.distributed.barrier()
    yield
    if processes.leads and processes.world_size > 1:
        torch.distributed.barrier()
