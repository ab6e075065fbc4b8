"""Names of a checkpoint's tensors: this project's own, and two public sets of December 2023."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from torch import Tensor

from sqsam_deploy.errors import CheckpointError

KeyNames = Literal["own", "released-a", "released-b"]

#: What the first part of a key can be, by any names and in the saliency network.
ROOTS = frozenset(
    {"encoder", "decoder", "transformer", "iou_token", "mask_tokens", "mask_head", "point_encoder"}
    | {"image_encoder", "mask_decoder"}
    | {"patch_embed", "unet_encoder", "unet_decoder", "get_iou_predictions_and_mask_tokens"}
    | {"head"}
)

#: Public key pattern -> own key. `{0}` ... are the pattern's groups.
Rules = tuple[tuple[re.Pattern[str], str], ...]


def _rules(*pairs: tuple[str, str]) -> Rules:
    return tuple((re.compile(pattern), name) for pattern, name in pairs)


_LEAF = r"(weight|bias|running_mean|running_var|num_batches_tracked)"


def _block_rules(source: str, target: str) -> tuple[tuple[str, str], ...]:
    """Both convolutions and norms of one double block."""
    return (
        (rf"{source}double_conv\.(\d)\.conv\.0\.{_LEAF}", target + "{-2}.conv.{-1}"),
        (rf"{source}double_conv\.(\d)\.norm\.{_LEAF}", target + "{-2}.norm.{-1}"),
    )


def _released_rules(patch: str, encoder: str, transformer: str, decoder: str) -> Rules:
    """The two released sets of names differ only in what they call their parts."""
    up = rf"{decoder}\.unet_upscaling_layers\.(\d)\."
    return _rules(
        (rf"{patch}\.proj\.0\.{_LEAF}", "encoder.patch_embedding.conv.{0}"),
        (rf"{patch}\.proj\.1\.{_LEAF}", "encoder.patch_embedding.norm.{0}"),
        *_block_rules(rf"{encoder}\.down_layers\.0\.", "encoder.stem."),
        *_block_rules(
            rf"{encoder}\.down_layers\.(\d)\.maxpool_conv\.1\.", "encoder.levels.{previous}.conv."
        ),
        (rf"{up}up\.upsampler_linear\.0\.{_LEAF}", "decoder.levels.{0}.up.linear.{1}"),
        (rf"{up}up\.norm\.{_LEAF}", "decoder.levels.{0}.up.norm.{1}"),
        *_block_rules(rf"{up}conv\.", "decoder.levels.{0}.conv."),
        (rf"{transformer}\.iou_token\.weight", "iou_token"),
        (rf"{transformer}\.mask_tokens\.weight", "mask_tokens"),
        (
            rf"{transformer}\.transformer\.(layers\.\d\.mlp\.)layers\.(\d)\.0\.{_LEAF}",
            "transformer.{0}hidden.{1}.{2}",
        ),
        (
            rf"{transformer}\.transformer\.(layers\.\d\.mlp\.)fc\.{_LEAF}",
            "transformer.{0}out.{1}",
        ),
        (rf"{transformer}\.transformer\.(.+)", "transformer.{0}"),
        (
            rf"mask_decoder\.output_hypernetworks_mlps\.(\d)\.layers\.(\d)\.0\.{_LEAF}",
            "mask_head.mask_mlps.{0}.hidden.{1}.{2}",
        ),
        (
            rf"mask_decoder\.output_hypernetworks_mlps\.(\d)\.fc\.{_LEAF}",
            "mask_head.mask_mlps.{0}.out.{1}",
        ),
        (
            rf"mask_decoder\.iou_prediction_head\.layers\.(\d)\.0\.{_LEAF}",
            "mask_head.iou_mlp.hidden.{0}.{1}",
        ),
        (rf"mask_decoder\.iou_prediction_head\.fc\.{_LEAF}", "mask_head.iou_mlp.out.{0}"),
    )


RELEASED_A = _released_rules("image_encoder", "image_encoder", "mask_decoder", "mask_decoder")
RELEASED_B = _released_rules(
    "patch_embed", "unet_encoder", "get_iou_predictions_and_mask_tokens", "unet_decoder"
)

#: Set of names -> its rules, and a key that only it has.
RELEASED_KEY_NAMES: dict[KeyNames, tuple[str, Rules]] = {
    "released-a": ("image_encoder.proj.0.weight", RELEASED_A),
    "released-b": ("patch_embed.proj.0.weight", RELEASED_B),
}


def key_names_of(state_dict: Mapping[str, Tensor]) -> KeyNames:
    """Whose key names a state dict uses; "own" where no released ones are recognized."""
    for name, (marker, _) in RELEASED_KEY_NAMES.items():
        if marker in state_dict:
            return name
    return "own"


def _own_key(key: str, rules: Rules) -> str:
    for pattern, template in rules:
        match = pattern.fullmatch(key)
        if match:
            groups = match.groups()
            # Level 0 of a released encoder is the stem; its level i is our level i - 1.
            previous = int(groups[0]) - 1 if "{previous}" in template else None
            return _fill(template, groups, previous)
    return key


def _fill(template: str, groups: tuple[str, ...], previous: int | None) -> str:
    filled = template.replace("{previous}", str(previous))
    return re.sub(r"\{(-?\d)\}", lambda m: groups[int(m.group(1))], filled)


def with_own_keys(state_dict: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    """The same tensors under this project's keys; keys under no known names stay as they are.

    Raises:
        CheckpointError: Two tensors of the file, `path`, have one key here.
    """
    names = key_names_of(state_dict)
    if names == "own":
        return dict(state_dict)
    _, rules = RELEASED_KEY_NAMES[names]
    sources: dict[str, str] = {}
    for key in state_dict:
        earlier = sources.setdefault(_own_key(key, rules), key)
        if earlier != key:
            raise CheckpointError(f"{path} holds one tensor twice, as {earlier} and as {key}")
    return {own: state_dict[key] for own, key in sources.items()}
