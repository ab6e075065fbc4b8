"""GroupNorm over all channels: what is left of it when it is written out.

Its mean and variance are those of the one map at hand, so no constant weight can replace it: two
images whose patch embeddings differ by a factor give the same output, which no affine map does. Its
scale and shift a channel join the multiplication and addition that the normalization needs anyway.
"""

import torch
from torch import Tensor, nn


class MapNorm(nn.Module):
    """`GroupNorm(1, C)` from operators that ExecuTorch's XNNPACK delegate takes. 1xCxHxW.

    `native_group_norm` stays outside that delegate, and of means it takes those over height and
    width only; the mean over channels is a 1x1 convolution whose weights are all 1 / C.
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
        centred = x - self._mean(x)
        # Not E[x^2] - E[x]^2: that loses digits where the mean is large.
        variance = self._mean(centred * centred)
        return centred * (torch.rsqrt(variance + self.eps) * self.scale) + self.shift

    def _mean(self, x: Tensor) -> Tensor:
        mean: Tensor = self.channel_mean(x.mean(dim=(2, 3), keepdim=True))
        return mean
