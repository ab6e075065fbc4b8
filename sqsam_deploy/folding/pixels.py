"""Pixel scaling, mean and standard deviation: into the patch embedding."""

from torch import Tensor, nn

from sqsam_deploy.folding.conv_bn import conv_like


def fold_pixel_scaling(conv: nn.Conv2d, mean: Tensor, std: Tensor) -> nn.Conv2d:
    """A convolution of raw values that equals `conv((x / 255 - mean) / std)`.

    Exact because the patch embedding has no padding: a padded zero would be a black pixel, not
    a normalized zero.

    Args:
        conv: The patch embedding, without padding.
        mean: 1xCx1x1, in units of [0, 1] pixels.
        std: 1xCx1x1.
    """
    scale = 1.0 / (255.0 * std.double())
    shift = -mean.double() / std.double()
    weight = conv.weight.detach().double()
    assert conv.bias is not None
    bias = conv.bias.detach().double() + (weight * shift).sum(dim=(1, 2, 3))
    return conv_like(conv, weight * scale, bias)
