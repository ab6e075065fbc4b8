"""Rewrites that change operators and not the function, so that the delegates take the whole graph.

One pass is one file; each returns how many places it changed.
"""

import torch
from torch.fx import GraphModule

from sqsam_deploy.quantization.rewrites.batch_matmul import rewrite_batch_matmul
from sqsam_deploy.quantization.rewrites.constants import fold_constants
from sqsam_deploy.quantization.rewrites.layer_norm import rewrite_layer_norm
from sqsam_deploy.quantization.rewrites.pixel_shuffle import rewrite_pixel_shuffle

__all__ = [
    "fold_constants",
    "rewrite",
    "rewrite_batch_matmul",
    "rewrite_layer_norm",
    "rewrite_pixel_shuffle",
]

_PASSES = (fold_constants, rewrite_layer_norm, rewrite_batch_matmul, rewrite_pixel_shuffle)


def rewrite(module: torch.nn.Module) -> GraphModule:
    """Applies every pass, in place.

    Args:
        module: What `ExportedProgram.module()` returns.
    """
    assert isinstance(module, GraphModule)
    for each in _PASSES:
        each(module)
    module.graph.eliminate_dead_code()
    module.recompile()
    return module
