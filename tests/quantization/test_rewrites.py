import torch
from torch import nn

from sqsam_deploy.quantization.rewrites import (
    FoldConstants,
    RewriteBatchMatmul,
    RewriteLayerNorm,
    RewritePixelShuffle,
)
from tests.tiny_network import snr_db


def _targets(module: torch.fx.GraphModule) -> set[str]:
    return {str(n.target) for n in module.graph.nodes if n.op == "call_function"}


def _traced(module: nn.Module, *inputs: torch.Tensor) -> torch.fx.GraphModule:
    traced = torch.export.export(module.eval(), inputs).module()
    assert isinstance(traced, torch.fx.GraphModule)
    return traced


def test_layer_norm_becomes_products_with_the_same_result() -> None:
    norm = nn.LayerNorm(24)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    x = torch.randn(1, 5, 24) * 3 + 7
    traced = _traced(norm, x)
    assert RewriteLayerNorm()(traced).modified
    traced.recompile()
    assert "aten.layer_norm.default" not in _targets(traced)
    assert snr_db(norm(x), traced(x)) > 110


class _Products(nn.Module):
    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return (a @ b) @ b.transpose(2, 3)


def test_products_become_bmm_with_the_same_result() -> None:
    a, b = torch.randn(1, 4, 5, 6), torch.randn(1, 4, 6, 7)
    traced = _traced(_Products(), a, b)
    assert RewriteBatchMatmul()(traced).modified
    traced.recompile()
    assert "aten.matmul.default" not in _targets(traced)
    assert traced(a, b).equal(_Products()(a, b))


class _Constant(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.randn(3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        steps = torch.arange(3.0) * self.table
        return x + torch.cat([steps, self.table])


def test_what_depends_on_no_input_is_computed_once() -> None:
    module, x = _Constant(), torch.randn(6)
    traced = _traced(module, x)
    assert FoldConstants()(traced).modified
    traced.recompile()
    assert _targets(traced) == {"aten.add.Tensor"}
    assert traced(x).equal(module(x))


def test_pixel_shuffle_becomes_moves_with_the_same_result() -> None:
    shuffle, x = nn.PixelShuffle(2), torch.randn(1, 12, 3, 5)
    traced = _traced(shuffle, x)
    assert RewritePixelShuffle()(traced).modified
    traced.recompile()
    assert _targets(traced) == {"aten.reshape.default", "aten.permute.default"}
    assert traced(x).equal(shuffle(x))
