"""Multiply-accumulates and bytes that a network needs at least, counted on shapes alone."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from sqsam_deploy._internal.upstream.torch import TorchDispatchMode
from sqsam_deploy.model.config import preset
from sqsam_deploy.model.network import INPUT_CHANNELS, SqueezeSAM
from sqsam_deploy.model.saliency import SALIENCY, SaliencyNet


@dataclass(frozen=True)
class Work:
    """The work of one inference.

    Attributes:
        macs: Multiply-accumulates of convolutions and matrix products.
        elements: Numbers that these operators read and write when each input, weight and output
            moves once; what is between them is taken to be fused and free.
        parameters: Weights of the network.
    """

    macs: int
    elements: int
    parameters: int


@lru_cache
def preset_work(name: str, batch: int = 1) -> Work:
    """Work of a preset, or of the saliency network, as it is trained (norms do not count)."""
    with torch.device("meta"):
        if name == SALIENCY.name:
            size = SALIENCY.image_size
            return count_work(SaliencyNet(SALIENCY).eval(), (torch.empty(batch, 3, size, size),))
        config = preset(name)
        inputs = (
            torch.empty(batch, INPUT_CHANNELS - 2, config.image_size, config.image_size),
            torch.empty(batch, 2, config.image_size, config.image_size),
            torch.empty(batch, config.max_points, 2),
            torch.empty(batch, config.max_points),
        )
        return count_work(SqueezeSAM(config).eval(), inputs)


def count_work(network: nn.Module, inputs: tuple[Tensor, ...]) -> Work:
    """Work of any network; give both on the "meta" device, so that nothing is computed."""
    traffic = _Traffic()
    with torch.no_grad(), FlopCounterMode(display=False) as counter, traffic:
        network(*inputs)
    return Work(
        # The counter takes a multiply-accumulate for two operations.
        macs=counter.get_total_flops() // 2,
        elements=traffic.elements,
        parameters=sum(p.numel() for p in network.parameters()),
    )


class _Traffic(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts what products read and write."""

    _PRODUCTS = ("convolution", "mm", "bmm", "addmm", "baddbmm", "_scaled_dot_product")

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.elements = 0

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        name = str(func).split(".")[1]
        if name.startswith(self._PRODUCTS):
            first = result[0] if isinstance(result, tuple) else result
            tensors = [a for a in args if isinstance(a, Tensor)]
            self.elements += sum(t.numel() for t in (*tensors, first))
        return result
