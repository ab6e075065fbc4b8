"""Bias correction: the mean error of rounded weights, taken off the biases.

A rounded weight errs by the same amount at every pixel, and the map that it reads is not zero on
average, least of all behind a ReLU: the errors add up to one number for each output channel, which
the bias can take off.

Source: arXiv 1906.04721, section 4.2, with means measured on samples.
"""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.fx import GraphModule, Interpreter, Node

from sqsam_deploy.quantization.graph import (
    LAYERS,
    channel_axis,
    constant,
    constant_value,
    layer_bias,
    replace_constant,
)


@torch.inference_mode()
def correct_biases(
    quantized: GraphModule, network: GraphModule, samples: Iterable[tuple[Tensor, ...]]
) -> None:
    """Moves the biases of int8 layers, in place, so that their mean output is the float layer's.

    Args:
        quantized: From `convert_pt2e`; its layers have the names of the float network's.
        network: The float network that it was made from.
        samples: Positional inputs, to measure means on.
    """
    inputs = _MeanInputs(network)
    means = inputs.measure(samples)
    layers = {node.name: node for node in quantized.graph.nodes if node.target in LAYERS}
    for node, mean in means.items():
        layer = layers[node.name]
        restored, bias = layer.args[1], layer_bias(layer)
        assert isinstance(restored, Node)
        if bias is None or restored.op == "get_attr":
            continue  # Without a bias, or kept in float.
        assert callable(node.target)
        error = constant(network, node.args[1]) - constant_value(quantized, restored)
        lost = node.target(mean, error, None, *node.args[3:])
        lost = lost.transpose(0, channel_axis(node)).flatten(1).double().mean(1)
        corrected = constant(quantized, bias) + lost
        replace_constant(quantized, bias, corrected.float())


class _MeanInputs(Interpreter):
    """The mean of what each layer reads: as a layer is linear, one map stands for all samples."""

    def __init__(self, network: GraphModule) -> None:
        super().__init__(network)
        self._sums: dict[Node, Tensor] = {}
        self._samples = 0

    def measure(self, samples: Iterable[tuple[Tensor, ...]]) -> dict[Node, Tensor]:
        for sample in samples:
            self.run(*sample)
            self._samples += 1
        return {node: total / self._samples for node, total in self._sums.items()}

    def run_node(self, n: Node) -> Any:
        if n.target in LAYERS:
            (value, *_), _ = self.fetch_args_kwargs_from_env(n)
            assert isinstance(value, Tensor)
            self._sums[n] = self._sums[n] + value if n in self._sums else value
        return super().run_node(n)
