"""Every block of a network whose norm directly follows a convolution."""

from torch import nn

from sqsam_deploy.folding.conv_bn import fold_conv_bn
from sqsam_deploy.folding.conv_transpose_bn import fold_conv_transpose_bn
from sqsam_deploy.folding.network import ConvReLU
from sqsam_deploy.folding.steps import FoldStep
from sqsam_deploy.model.blocks import ConvBlock, ConvTransposeUp


def fold_blocks(model: nn.Module) -> list[FoldStep]:
    """Replaces the blocks of a network by a convolution and ReLU each, in place."""
    steps = []
    for path, block in list(model.named_modules()):
        if isinstance(block, ConvBlock) and block.order == "conv-bn-relu":
            model.set_submodule(path, ConvReLU(fold_conv_bn(block.conv, block.norm)))
            steps.append(FoldStep(f"{path}.norm", "conv-bn", (f"{path}.conv",)))
        elif isinstance(block, ConvTransposeUp):
            model.set_submodule(path, ConvReLU(fold_conv_transpose_bn(block.conv, block.norm)))
            steps.append(FoldStep(f"{path}.norm", "conv-transpose-bn", (f"{path}.conv",)))
    return steps
