"""Rewrites that change operators and not the function, so that the delegates take the whole graph.

One pass is one file and one `PassBase` of torch.fx that works in place.
"""

import torch
from torch.fx import GraphModule

from sqsam_deploy.quantization.rewrites.batch_matmul import RewriteBatchMatmul
from sqsam_deploy.quantization.rewrites.constants import FoldConstants
from sqsam_deploy.quantization.rewrites.layer_norm import RewriteLayerNorm
from sqsam_deploy.quantization.rewrites.pixel_shuffle import RewritePixelShuffle

__all__ = [
    "FoldConstants",
    "RewriteBatchMatmul",
    "RewriteLayerNorm",
    "RewritePixelShuffle",
    "rewrite",
]

_PASSES = (FoldConstants(), RewriteLayerNorm(), RewriteBatchMatmul(), RewritePixelShuffle())


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
