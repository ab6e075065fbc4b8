"""All folding steps in order, from a trained network to the one that is deployed."""

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sqsam_deploy.folding.conv_norm import fold_blocks, fold_conv_bn, fold_pixel_scaling
from sqsam_deploy.folding.forward import fold_decoder, fold_encoder, forward_steps
from sqsam_deploy.folding.layers import MapNorm, SingleKeyAttention
from sqsam_deploy.folding.mask_head import (
    FoldedMaskHead,
    drop_unused_masks,
    fold_into_mask_weights,
)
from sqsam_deploy.folding.network import FoldedMapNetwork, FoldedNetwork, FoldedPointNetwork
from sqsam_deploy.folding.steps import FoldStep
from sqsam_deploy.model.config import ModelConfig
from sqsam_deploy.model.network import SqueezeSAM
from sqsam_deploy.model.transformer import Attention


@dataclass(frozen=True)
class FoldedModel:
    """A network ready to be exported.

    Attributes:
        network: In eval mode. Takes what `model.description.default_inputs` lists, in
            that order, batch 1, and returns `low_res_masks` and `iou_predictions`.
        config: The preset.
        steps: Each norm and the layers that now carry its effect.
    """

    network: nn.Module
    config: ModelConfig
    steps: tuple[FoldStep, ...]


def fold(model: SqueezeSAM) -> FoldedModel:
    """Folds every norm of the convolutional path, and the pixel scaling, into convolutions.

    The folded network equals the original up to float32 rounding, border included. `model` is
    not modified.
    """
    config = model.config
    work = copy.deepcopy(model).eval().requires_grad_(False)
    steps = _fold_pixels(work)
    steps += _fold_conv_bn_blocks(work)
    head, unused = drop_unused_masks(work.mask_head)
    if config.block_order == "conv-relu-bn":
        last = fold_decoder(work.decoder, fold_encoder(work.encoder))
        head = fold_into_mask_weights(head, last)
        steps += forward_steps(len(work.encoder.levels))
    if config.bottleneck_size == 1:
        steps += _fold_single_key_attention(work)
    steps += unused + _kept_layer_norms(work)
    network = _assemble(work, head).eval().requires_grad_(False)
    return FoldedModel(network, config, tuple(steps))


def example_inputs(config: ModelConfig) -> tuple[Tensor, ...]:
    """Inputs of a folded network, for tracing: a gray image without a prompt, batch 1."""
    size, points = config.image_size, config.max_points
    image = torch.full((1, 3, size, size), 127.0)
    prompt_maps = torch.full((1, 2, size, size), 255.0)
    if not config.late_fusion:
        return image, prompt_maps
    return image, prompt_maps, torch.zeros(1, points, 2), torch.full((1, points), -1.0)


def _fold_pixels(model: SqueezeSAM) -> list[FoldStep]:
    embedding = model.encoder.patch_embedding
    embedding.conv = fold_pixel_scaling(embedding.conv, model.pixel_mean, model.pixel_std)
    into = ("encoder.patch_embedding.conv",)
    return [FoldStep("pixel_mean, pixel_std", "pixel scaling", into)]


def _fold_conv_bn_blocks(model: SqueezeSAM) -> list[FoldStep]:
    steps = []
    embedding = model.encoder.patch_embedding
    if isinstance(embedding.norm, nn.BatchNorm2d):
        embedding.conv = fold_conv_bn(embedding.conv, embedding.norm)
        path = "encoder.patch_embedding"
        model.set_submodule(f"{path}.norm", nn.Identity())
        steps.append(FoldStep(f"{path}.norm", "conv-bn", (f"{path}.conv",)))
    elif isinstance(embedding.norm, nn.GroupNorm):
        steps.append(_fold_group_norm(model, embedding.norm))
    steps += fold_blocks(model)
    return steps


def _fold_group_norm(model: SqueezeSAM, norm: nn.GroupNorm) -> FoldStep:
    path = "encoder.patch_embedding.norm"
    model.set_submodule(path, MapNorm(norm))
    return FoldStep(
        path,
        "group norm, explicit",
        (path,),
        "its mean and variance are those of the image at hand, which no weight can hold",
    )


def _fold_single_key_attention(model: SqueezeSAM) -> list[FoldStep]:
    """Simplifies the token-to-image attention of a network whose deepest map is 1x1."""
    transformer = model.transformer
    names = [f"layers.{i}.cross_attn_token_to_image" for i in range(len(transformer.layers))] + [
        "final_attn_token_to_image"
    ]
    steps = []
    for name in names:
        attention = transformer.get_submodule(name)
        assert isinstance(attention, Attention)
        transformer.set_submodule(name, SingleKeyAttention(attention))
        path = f"transformer.{name}"
        steps.append(FoldStep(path, "single key attention", (f"{path}.proj",)))
    return steps


def _kept_layer_norms(model: SqueezeSAM) -> list[FoldStep]:
    reason = "normalizes a few tokens by their own statistics, outside the convolutional path"
    return [
        FoldStep(path, "kept", reason=reason)
        for path, module in model.named_modules()
        if isinstance(module, nn.LayerNorm)
    ]


def _assemble(model: SqueezeSAM, head: FoldedMaskHead) -> FoldedNetwork:
    tokens = torch.cat([model.iou_token, model.mask_tokens]).unsqueeze(0)
    if model.point_encoder is not None:
        return FoldedPointNetwork(model, tokens, head, model.point_encoder)
    # The release of December 2023 fills the place of the points with one zero token.
    zero = torch.zeros_like(tokens[:, :1])
    return FoldedMapNetwork(model, torch.cat([tokens, zero], dim=1), head)
