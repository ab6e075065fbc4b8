"""Which operators of the traced network become int8, for torchao's PT2E flow.

The arithmetic is XNNPACK's (static activations with one scale a tensor, symmetric weights with one
scale an output channel, range -127..127), which ONNX QDQ and Core ML W8A8 express as well.
"""

from fnmatch import fnmatchcase

import torch
from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import XNNPACKQuantizer
from torch.fx import GraphModule, Node
from torchao.quantization.pt2e.observer import FixedQParamsObserver, ObserverBase
from torchao.quantization.pt2e.quantizer import (
    QuantizationAnnotation,
    QuantizationConfig,
    QuantizationSpec,
)
from torchao.quantization.pt2e.quantizer.quantizer import Q_ANNOTATION_KEY

from sqsam_deploy.quantization.graph import LAYERS, module_name
from sqsam_deploy.quantization.observers import (
    OBSERVERS,
    PIXEL_INPUTS,
    PIXEL_SCALE,
    PIXEL_ZERO_POINT,
    PerChannelWeightObserver,
    RangeObserver,
)
from sqsam_deploy.quantization.scheme import QuantizationScheme

_aten = torch.ops.aten

#: Modules that normalize by the statistics of one input: 8 bits are too few for a variance.
_NORMS = "*norm*"

#: Additions to feature maps that folding left; all others are the transformer's.
_SHIFTS = "*.shift"


class Int8Quantizer(XNNPACKQuantizer):  # type: ignore[misc]
    """Convolutions, linear layers, and what joins or moves their results.

    Attention's products, softmax, LayerNorm and the residual additions work on at most a few
    thousand values and stay in float.
    """

    # Norms are folded. To look for them all the same, each search would export four small networks.
    SUPPORTED_PATTERNS = [  # noqa: RUF012 - as the base class has it
        pattern for pattern in XNNPACKQuantizer.SUPPORTED_PATTERNS if "bn" not in pattern.name
    ]

    def __init__(self, scheme: QuantizationScheme) -> None:
        super().__init__()
        self._scheme = scheme
        config = _config(OBSERVERS[scheme.ranges])
        for operator in (*LAYERS, _aten.cat.default, _aten.add.Tensor):
            self.set_operator_type(operator, config)

    def annotate(self, model: GraphModule) -> GraphModule:
        """Marks what stays in float, then leaves the rest to XNNPACK's rules."""
        for node in model.graph.nodes:
            if node.op == "call_function" and self._stays_float(node):
                node.meta[Q_ANNOTATION_KEY] = QuantizationAnnotation(_annotated=True)
        # As the search for norms does.
        model.graph.eliminate_dead_code()
        model.recompile()
        annotated: GraphModule = super().annotate(model)
        return annotated

    def _stays_float(self, node: Node) -> bool:
        module = module_name(node)
        if fnmatchcase(module, _NORMS) or self._scheme.keeps_float(module):
            return True
        if node.target is _aten.add.Tensor:
            return not fnmatchcase(module, _SHIFTS)
        # Tokens are joined in float: only the joins of feature maps feed a convolution.
        return node.target is _aten.cat.default and node.meta["val"].dim() != 4

    def prepare_obs_or_fq_callback(
        self,
        model: GraphModule,
        edge_or_node_to_obs_or_fq: dict[Node | tuple[Node, Node], ObserverBase],
    ) -> None:
        """Gives pixels and prompt maps their exact step of 1."""
        observers = edge_or_node_to_obs_or_fq
        pixel_groups = {
            id(observer)
            for edge, observer in observers.items()
            if isinstance(edge, tuple) and edge[0].name in PIXEL_INPUTS
        }
        exact = FixedQParamsObserver(
            scale=PIXEL_SCALE,
            zero_point=PIXEL_ZERO_POINT,
            dtype=torch.int8,
            quant_min=-128,
            quant_max=127,
        )
        for edge, observer in observers.items():
            if id(observer) in pixel_groups:
                observers[edge] = exact


def _config(observer: type[RangeObserver]) -> QuantizationConfig:
    activation = QuantizationSpec(
        dtype=torch.int8,
        quant_min=-128,
        quant_max=127,
        qscheme=torch.per_tensor_affine,
        observer_or_fake_quant_ctr=observer,
    )
    # executorch's own configuration sets eps to 2**-12: the patch embedding's weights, which carry
    # the 1/255 of the pixels, would lose two of their eight bits to it.
    weight = QuantizationSpec(
        dtype=torch.int8,
        quant_min=-127,
        quant_max=127,
        qscheme=torch.per_channel_symmetric,
        ch_axis=0,
        observer_or_fake_quant_ctr=PerChannelWeightObserver,
    )
    return QuantizationConfig(activation, activation, weight, None, False)
