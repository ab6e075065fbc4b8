"""SAM's two-way transformer between tokens and the deepest map.

Source: segment-anything, `transformer.py`; the deepest map has no positional encoding here.
"""

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class MLP(nn.Module):
    """Linear layers with ReLU between them. ...xC -> ...xK."""

    def __init__(self, in_dim: int, hidden_dim: int, out_dim: int, hidden_layers: int) -> None:
        super().__init__()
        dims = [in_dim] + [hidden_dim] * hidden_layers
        self.hidden = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(dims))
        self.out = nn.Linear(dims[-1], out_dim)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.hidden:
            x = F.relu(layer(x))
        out: Tensor = self.out(x)
        return out


class Attention(nn.Module):
    """Multi-head attention whose inner width is `dim // downsample`.

    Queries BxNxC, keys and values BxMxC -> BxNxC.
    """

    def __init__(self, dim: int, num_heads: int, downsample: int = 1) -> None:
        super().__init__()
        inner = dim // downsample
        self.num_heads = num_heads
        self.q_proj = nn.Linear(dim, inner)
        self.k_proj = nn.Linear(dim, inner)
        self.v_proj = nn.Linear(dim, inner)
        self.out_proj = nn.Linear(inner, dim)

    def _split(self, x: Tensor) -> Tensor:
        batch, count, channels = x.shape
        return x.reshape(batch, count, self.num_heads, channels // self.num_heads).transpose(1, 2)

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        q, k, v = (
            self._split(self.q_proj(q)),
            self._split(self.k_proj(k)),
            self._split(self.v_proj(v)),
        )
        scores = (q @ k.transpose(2, 3)) * (q.shape[-1] ** -0.5)
        attended = (torch.softmax(scores, dim=-1) @ v).transpose(1, 2).flatten(2)
        out: Tensor = self.out_proj(attended)
        return out


class TwoWayBlock(nn.Module):
    """Self-attention of tokens, tokens to image, MLP, image to tokens.

    Tokens BxNxC, image BxMxC -> the same shapes.
    """

    def __init__(self, dim: int, num_heads: int, first: bool) -> None:
        super().__init__()
        self.first = first
        self.self_attn = Attention(dim, num_heads)
        self.norm1 = nn.LayerNorm(dim)
        self.cross_attn_token_to_image = Attention(dim, num_heads, downsample=2)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = MLP(dim, dim, dim, hidden_layers=1)
        self.norm3 = nn.LayerNorm(dim)
        self.cross_attn_image_to_token = Attention(dim, num_heads, downsample=2)
        self.norm4 = nn.LayerNorm(dim)

    def forward(self, tokens: Tensor, image: Tensor, token_pe: Tensor) -> tuple[Tensor, Tensor]:
        # In the first block the tokens still are their own positional encoding.
        queries = tokens if self.first else tokens + token_pe
        tokens = self.norm1(queries + self.self_attn(queries, queries, queries))
        tokens = self.norm2(
            tokens + self.cross_attn_token_to_image(tokens + token_pe, image, image)
        )
        tokens = self.norm3(tokens + self.mlp(tokens))
        attended = self.cross_attn_image_to_token(image, tokens + token_pe, tokens)
        image = self.norm4(image + attended)
        return tokens, image


class TwoWayTransformer(nn.Module):
    """Blocks and a last token-to-image attention. Tokens BxNxC, map BxCxHxW -> both, updated."""

    def __init__(self, dim: int, num_heads: int, depth: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(TwoWayBlock(dim, num_heads, first=i == 0) for i in range(depth))
        self.final_attn_token_to_image = Attention(dim, num_heads, downsample=2)
        self.norm_final_attn = nn.LayerNorm(dim)

    def forward(self, tokens: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
        image = features.flatten(2).transpose(1, 2)
        token_pe = tokens
        for layer in self.layers:
            tokens, image = layer(tokens, image, token_pe)
        attended = self.final_attn_token_to_image(tokens + token_pe, image, image)
        tokens = self.norm_final_attn(tokens + attended)
        return tokens, image.transpose(1, 2).reshape(features.shape)
