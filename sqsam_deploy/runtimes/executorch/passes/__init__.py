"""Rewrites of a traced program into what XNNPACK runs fast, without changing the function.

One pass is one file; each works on a `torch.fx` graph in place and returns how many places it
changed. They write data movement as plain reshapes and transpositions; `xnnpack.movement` then
joins those with the ones that ExecuTorch inserts around convolutions.
"""

import torch
from torch.export import ExportedProgram
from torch.fx import GraphModule
from torch.fx.graph import CodeGen

from sqsam_deploy.runtimes.executorch.passes.conv_transpose import split_conv_transpose
from sqsam_deploy.runtimes.executorch.passes.mask_product import put_features_first
from sqsam_deploy.runtimes.executorch.passes.pixel_input import take_interleaved_pixels
from sqsam_deploy.runtimes.executorch.passes.shuffle import order_shuffled_channels

__all__ = [
    "optimize",
    "order_shuffled_channels",
    "put_features_first",
    "split_conv_transpose",
    "take_interleaved_pixels",
]

_PASSES = (put_features_first, split_conv_transpose, order_shuffled_channels)


def optimize(program: ExportedProgram, *, interleaved: bool) -> ExportedProgram:
    """The program after every pass.

    Args:
        program: From `sqsam_deploy.quantization`; not changed.
        interleaved: Take the image and the prompt maps as one int8 tensor, see
            `take_interleaved_pixels`. The program must be quantized.
    """
    module = program.module(check_guards=False)
    assert isinstance(module, GraphModule)
    example, _ = program.example_inputs
    for each in _PASSES:
        each(module)
    if interleaved:
        pixels, replaced = take_interleaved_pixels(module)
        example = (pixels, *example[replaced:])
    module.graph.eliminate_dead_code()
    # The inputs are no longer those that the module's hooks and signature check.
    module.graph.set_codegen(CodeGen())
    return torch.export.export(GraphModule(module, module.graph), example)
