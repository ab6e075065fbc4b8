"""Layers that only a folded network has, in place of the original blocks."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sqsam_deploy.model.transformer import Attention


class SignFlip(nn.Module):
    """Multiplies each channel by +1 or -1. BxCxHxW -> the same.

    Needed before an operator that does not commute with a negative sign.
    """

    def __init__(self, signs: Tensor) -> None:
        super().__init__()
        self.signs: Tensor
        self.register_buffer("signs", signs.to(torch.float32).reshape(1, -1, 1, 1))

    @staticmethod
    def where_needed(signs: Tensor) -> nn.Module:
        """A `SignFlip` if a sign is negative, else the identity: most trained scales are positive.

        Args:
            signs: C, +1 or -1.
        """
        return SignFlip(signs) if bool((signs < 0).any()) else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """The map with its signs changed."""
        return x * self.signs


class ChannelBias(nn.Module):
    """Adds a constant to each channel. BxCxHxW -> the same.

    It holds the shift of a norm whose reader pads with zeros and so cannot take it.
    """

    def __init__(self, shift: Tensor) -> None:
        super().__init__()
        self.shift: Tensor
        self.register_buffer("shift", shift.to(torch.float32).reshape(1, -1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """The shifted map."""
        return x + self.shift


class ConvReLU(nn.Module):
    """One convolution (plain or transposed) and ReLU."""

    def __init__(self, conv: nn.Conv2d | nn.ConvTranspose2d) -> None:
        super().__init__()
        self.conv = conv

    def forward(self, x: Tensor) -> Tensor:
        """BxCxHxW -> BxKxHxW, or BxKx2Hx2W where the convolution is transposed."""
        return F.relu(self.conv(x))


class ConvReLUShift(ConvReLU):
    """One convolution, ReLU, and a constant added to each channel."""

    def __init__(self, conv: nn.Conv2d, shift: ChannelBias) -> None:
        super().__init__(conv)
        self.shift = shift

    def forward(self, x: Tensor) -> Tensor:
        """BxCxHxW -> BxKxHxW."""
        shifted: Tensor = self.shift(super().forward(x))
        return shifted


class FlipPoolConv(nn.Module):
    """Signs, 2x2 max-pooling, then the folded double block."""

    def __init__(self, flip: nn.Module, conv: nn.Module) -> None:
        super().__init__()
        self.flip = flip
        self.conv = conv

    def forward(self, x: Tensor) -> Tensor:
        """BxCxHxW -> BxKx(H/2)x(W/2)."""
        pooled = F.max_pool2d(self.flip(x), kernel_size=2, stride=2)
        out: Tensor = self.conv(pooled)
        return out


class ConvShuffle(nn.Module):
    """1x1 convolution, ReLU, signs, shift, pixel shuffle.

    The convolution replaces a linear layer over channels: it needs no change of memory format.
    """

    def __init__(self, conv: nn.Conv2d, flip: nn.Module, shift: ChannelBias) -> None:
        super().__init__()
        self.conv = conv
        self.flip = flip
        self.shift = shift

    def forward(self, x: Tensor) -> Tensor:
        """BxCxHxW -> BxKx2Hx2W."""
        return F.pixel_shuffle(self.shift(self.flip(F.relu(self.conv(x)))), 2)


class MapNorm(nn.Module):
    """`GroupNorm(1, C)` from operators that ExecuTorch's XNNPACK delegate takes. 1xCxHxW.

    Its mean and variance are those of the map at hand, so no constant weight can replace it; its
    scale and shift per channel join the arithmetic that the normalization needs anyway.
    `native_group_norm` stays outside the delegate, which takes means over height and width only;
    the mean over channels is a 1x1 convolution whose weights are all 1 / C.
    """

    def __init__(self, norm: nn.GroupNorm) -> None:
        super().__init__()
        channels = norm.num_channels
        self.eps = norm.eps
        self.channel_mean = nn.Conv2d(channels, channels, 1, bias=False)
        nn.init.constant_(self.channel_mean.weight, 1.0 / channels)
        self.scale: Tensor
        self.shift: Tensor
        self.register_buffer("scale", norm.weight.detach().clone().reshape(1, -1, 1, 1))
        self.register_buffer("shift", norm.bias.detach().clone().reshape(1, -1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """The normalized map."""
        centered = x - self._mean(x)
        # Not E[x^2] - E[x]^2: that loses digits where the mean is large.
        variance = self._mean(centered * centered)
        return centered * (torch.rsqrt(variance + self.eps) * self.scale) + self.shift

    def _mean(self, x: Tensor) -> Tensor:
        mean: Tensor = self.channel_mean(x.mean(dim=(2, 3), keepdim=True))
        return mean


class SingleKeyAttention(nn.Module):
    """`Attention` over one key: `out_proj(v_proj(v))` for every query.

    The softmax of one score is 1, so the projections of queries and keys have no effect and are
    dropped; the two linear layers that remain become one.
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
