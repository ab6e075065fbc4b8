"""Rewrites of a traced program into what XNNPACK runs fast, without changing the function.

One pass is one file and one `PassBase` of torch.fx that works in place. They write data movement
as plain reshapes and transpositions; `xnnpack.movement` then joins those with the ones that
ExecuTorch inserts around convolutions.
"""

import torch
from torch.export import ExportedProgram
from torch.fx import GraphModule
from torch.fx.graph import CodeGen

from sqsam_deploy.runtimes.executorch.passes.conv_transpose import SplitConvTranspose
from sqsam_deploy.runtimes.executorch.passes.mask_product import PutFeaturesFirst
from sqsam_deploy.runtimes.executorch.passes.pixel_input import TakeInterleavedPixels, joined_inputs
from sqsam_deploy.runtimes.executorch.passes.shuffle import OrderShuffledChannels

__all__ = [
    "OrderShuffledChannels",
    "PutFeaturesFirst",
    "SplitConvTranspose",
    "TakeInterleavedPixels",
    "optimize",
]

_PASSES = (PutFeaturesFirst(), SplitConvTranspose(), OrderShuffledChannels())


def optimize(program: ExportedProgram, *, interleaved: bool) -> ExportedProgram:
    """The program after every pass.

    Args:
        program: From `sqsam_deploy.quantization`; not changed.
        interleaved: Take the image and the prompt maps as one int8 tensor, see
            `TakeInterleavedPixels`. The program must be quantized.
    """
    module = program.module(check_guards=False)
    assert isinstance(module, GraphModule)
    example, _ = program.example_inputs
    for each in _PASSES:
        each(module)
    if interleaved:
        TakeInterleavedPixels()(module)
        example = joined_inputs(module, example)
    module.graph.eliminate_dead_code()
    # The inputs are no longer those that the module's hooks and signature check.
    module.graph.set_codegen(CodeGen())
    return torch.export.export(GraphModule(module, module.graph), example)
