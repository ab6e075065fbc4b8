"""Attention over one key: softmax of one score is 1, so it is a linear map of the value."""

from torch import Tensor, nn

from sqsam_deploy.model.transformer import Attention


class SingleKeyAttention(nn.Module):
    """What `Attention` computes when there is one key: `out_proj(v_proj(v))`, for every query.

    The projections of queries and keys have no effect and are dropped; the two linear layers
    that remain have nothing between them and become one.
    """

    def __init__(self, attention: Attention) -> None:
        super().__init__()
        value, out = attention.v_proj, attention.out_proj
        weight = out.weight.detach().double() @ value.weight.detach().double()
        bias = out.weight.detach().double() @ value.bias.detach().double()
        self.proj = nn.Linear(value.in_features, out.out_features, device="meta")
        self.proj.weight = nn.Parameter(weight.float(), requires_grad=False)
        bias = (bias + out.bias.detach().double()).float()
        self.proj.bias = nn.Parameter(bias, requires_grad=False)

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Queries BxNxC, one key and value Bx1xC -> Bx1xC, to be broadcast over the queries."""
        out: Tensor = self.proj(v)
        return out
