"""The walk through a network whose norms follow their ReLU, from each map to its readers.

A walk and not a search: the order of the readers is the U-Net's, written down in
`sqsam_deploy.model.network`.
"""

from torch import nn

from sqsam_deploy.folding.channel_affine import ChannelAffine, concatenated, identity_affine
from sqsam_deploy.folding.layers import ConvReLU, ConvReLUShift, FlipPoolConv
from sqsam_deploy.folding.relu_norm import (
    explicit_bias,
    fold_linear_shuffle,
    fold_relu_bn,
    pooled,
    restored,
)
from sqsam_deploy.folding.steps import FoldStep
from sqsam_deploy.model.blocks import (
    ConvBlock,
    DoubleConv,
    DoubleConvDown,
    DoubleConvUp,
    LinearShuffleUp,
)
from sqsam_deploy.model.network import Decoder, Encoder


def fold_encoder(encoder: Encoder) -> list[ChannelAffine]:
    """Folds every level in place and returns how each skip is stored, finest first.

    The deepest map is restored for the transformer.
    """
    incoming = identity_affine(encoder.patch_embedding.conv.out_channels)
    affines = [_fold_double(encoder.stem, incoming)]
    last = len(encoder.levels) - 1
    for index, level in enumerate(encoder.levels):
        assert isinstance(level, DoubleConvDown)
        flip, incoming = pooled(affines[-1])
        if index < last:
            affines.append(_fold_double(level.conv, incoming))
        else:
            level.conv.append(restored(_fold_double_unpadded(level.conv, incoming)))
        encoder.levels[index] = FlipPoolConv(flip, level.conv)
    return affines


def fold_decoder(decoder: Decoder, skips: list[ChannelAffine]) -> ChannelAffine:
    """Folds every level in place and returns how the last map is stored."""
    affine: ChannelAffine | None = None
    for level, skip in zip(decoder.levels, reversed(skips), strict=True):
        assert isinstance(level, DoubleConvUp) and isinstance(level.up, LinearShuffleUp)
        incoming = affine or identity_affine(level.up.linear.in_features)
        folded_up, up_affine = fold_linear_shuffle(level.up, incoming)
        level.set_submodule("up", folded_up)
        # The next reader, a 1x1 convolution or the mask head, does not pad.
        affine = _fold_double_unpadded(level.conv, concatenated(skip, up_affine))
    assert affine is not None
    return affine


def _fold_double(block: DoubleConv, incoming: ChannelAffine) -> ChannelAffine:
    """Folds both convolutions, for readers that pad: no shift is left in how the map is stored."""
    for index in range(2):
        incoming = _fold_padded(block, index, incoming)
    return incoming


def _fold_double_unpadded(block: DoubleConv, incoming: ChannelAffine) -> ChannelAffine:
    """Folds both convolutions, for readers that do not pad.

    The second convolution pads, so the first one's shift is added all the same.
    """
    incoming = _fold_padded(block, 0, incoming)
    conv, affine = _folded(block, 1, incoming)
    block[1] = ConvReLU(conv)
    return affine


def _fold_padded(block: DoubleConv, index: int, incoming: ChannelAffine) -> ChannelAffine:
    conv, affine = _folded(block, index, incoming)
    shift, affine = explicit_bias(affine)
    block[index] = ConvReLUShift(conv, shift)
    return affine


def _folded(
    block: DoubleConv, index: int, incoming: ChannelAffine
) -> tuple[nn.Conv2d, ChannelAffine]:
    conv_block = block[index]
    assert isinstance(conv_block, ConvBlock)
    return fold_relu_bn(conv_block.conv, conv_block.norm, incoming)


def forward_steps(levels: int) -> list[FoldStep]:
    """The steps of `fold_encoder` and `fold_decoder` for an encoder with `levels` pooled levels."""
    steps = []
    for level in range(levels + 1):
        steps += _double_steps(_encoder_block(level), _encoder_readers(level, levels))
    for level in range(levels):
        path = f"decoder.levels.{level}"
        into = (f"{path}.up.conv", f"{path}.conv.0.conv")
        steps.append(FoldStep(f"{path}.up.norm", "linear-relu-bn-shuffle", into))
        reader = (
            f"decoder.levels.{level + 1}.up.conv" if level + 1 < levels else "mask_head.mask_mlps"
        )
        steps += _double_steps(f"{path}.conv", (reader,))
    return steps


def _encoder_block(level: int) -> str:
    return "encoder.stem" if level == 0 else f"encoder.levels.{level - 1}.conv"


def _encoder_readers(level: int, levels: int) -> tuple[str, ...]:
    if level == levels:
        return (f"{_encoder_block(level)}.2",)
    return f"{_encoder_block(level + 1)}.0.conv", f"decoder.levels.{levels - 1 - level}.conv.0.conv"


def _double_steps(block: str, readers: tuple[str, ...]) -> list[FoldStep]:
    first, second = f"{block}.0", f"{block}.1"
    return [
        FoldStep(f"{first}.norm", "conv-relu-bn", (f"{first}.conv", f"{second}.conv")),
        FoldStep(f"{second}.norm", "conv-relu-bn", (f"{second}.conv", *readers)),
    ]
