"""Convolutions over a map of a single pixel, without the weights that only padding meets."""

from contextlib import ExitStack

import torch
from torch import Tensor, nn


def drop_padded_taps(network: nn.Module, example: tuple[Tensor, ...]) -> None:
    """Makes 3x3 convolutions 1x1 where their map has one pixel, in place.

    The eight outer taps are multiplied with zeros alone, so that the function stays the same. They
    are a tenth of the weights of a network whose deepest map is 1x1.

    Args:
        network: In eval mode, of a fixed input size.
        example: Its inputs.
    """
    single: list[nn.Conv2d] = []

    def note(layer: nn.Module, given: tuple[Tensor, ...]) -> None:
        if isinstance(layer, nn.Conv2d) and given[0].shape[2:] == (1, 1):
            single.append(layer)

    with ExitStack() as hooks, torch.inference_mode():
        for layer in network.modules():
            hooks.callback(layer.register_forward_pre_hook(note).remove)
        network(*example)
    for layer in single:
        _keep_center(layer)


def _keep_center(layer: nn.Conv2d) -> None:
    if layer.kernel_size != (3, 3) or layer.padding != (1, 1):
        return
    center = layer.weight.detach()[:, :, 1:2, 1:2].clone()
    layer.weight = nn.Parameter(center, requires_grad=False)
    layer.kernel_size, layer.padding = (1, 1), (0, 0)
