"""The walk through a network whose norms follow their ReLU, from each map to its readers.

A walk and not a search: the order of the readers is the U-Net's, written down in
`sqsam_deploy.model.network`.
"""

from collections.abc import Callable

from torch import nn

from sqsam_deploy.folding.channel_mix import ChannelMix, concatenated, identity_mix
from sqsam_deploy.folding.deepest import restored
from sqsam_deploy.folding.network import ConvReLU
from sqsam_deploy.folding.pooling import FlipPoolConv, pooled_mix
from sqsam_deploy.folding.relu_bn import fold_relu_bn, fold_relu_bn_with_constant
from sqsam_deploy.folding.relu_bn_shuffle import fold_linear_shuffle
from sqsam_deploy.folding.steps import FoldStep
from sqsam_deploy.model.blocks import (
    ConvBlock,
    DoubleConv,
    DoubleConvDown,
    DoubleConvUp,
    LinearShuffleUp,
)
from sqsam_deploy.model.network import Decoder, Encoder

#: `fold_relu_bn` or `fold_relu_bn_with_constant`, by what reads the block.
_FoldBlock = Callable[[nn.Conv2d, nn.BatchNorm2d, ChannelMix], tuple[nn.Conv2d, ChannelMix]]


def fold_encoder(encoder: Encoder) -> list[ChannelMix]:
    """Folds every level in place; how each skip is stored, finest first.

    The deepest map is stored as it is meant, for the transformer.
    """
    incoming = identity_mix(encoder.patch_embedding.conv.out_channels)
    mixes = [_fold_double(encoder.stem, incoming, fold_relu_bn_with_constant)]
    last = len(encoder.levels) - 1
    for index, level in enumerate(encoder.levels):
        assert isinstance(level, DoubleConvDown)
        flip, incoming = pooled_mix(mixes[-1])
        fold_second = fold_relu_bn if index == last else fold_relu_bn_with_constant
        mixes.append(_fold_double(level.conv, incoming, fold_second))
        if index == last:
            level.conv.append(restored(mixes[-1]))
        encoder.levels[index] = FlipPoolConv(flip, level.conv)
    return mixes[:-1]


def fold_decoder(decoder: Decoder, skips: list[ChannelMix]) -> ChannelMix:
    """Folds every level in place; how the last map is stored, with an explicit shift."""
    mix: ChannelMix | None = None
    for level, skip in zip(decoder.levels, reversed(skips), strict=True):
        assert isinstance(level, DoubleConvUp) and isinstance(level.up, LinearShuffleUp)
        incoming = mix or identity_mix(level.up.linear.in_features)
        folded_up, up_mix = fold_linear_shuffle(level.up, incoming)
        level.set_submodule("up", folded_up)
        # The next reader, a 1x1 convolution or the mask head, does not pad.
        mix = _fold_double(level.conv, concatenated(skip, up_mix), fold_relu_bn)
    assert mix is not None
    return mix


def _fold_double(block: DoubleConv, incoming: ChannelMix, fold_second: _FoldBlock) -> ChannelMix:
    mix = incoming
    for index, fold_block in enumerate((fold_relu_bn_with_constant, fold_second)):
        conv_block = block[index]
        assert isinstance(conv_block, ConvBlock)
        conv, mix = fold_block(conv_block.conv, conv_block.norm, mix)
        block[index] = ConvReLU(conv)
    return mix


def forward_steps(levels: int) -> list[FoldStep]:
    """What `fold_encoder` and `fold_decoder` did, for an encoder with `levels` pooled levels."""
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
