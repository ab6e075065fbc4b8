"""Growing a trained network into a larger one that begins where the small one stopped.

*Widening* (Net2Net, arXiv 1511.05641) gives a network more channels, a larger patch and a larger
input without changing what it computes. *Deepening* adds a finer level on both sides, which
`GrowingSqueezeSAM` fits to what was there before.
"""

import math
from dataclasses import fields

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sqsam_deploy.errors import UsageError
from sqsam_deploy.model.blocks import DoubleConv
from sqsam_deploy.model.config import ModelConfig
from sqsam_deploy.model.network import PatchEmbedding, SqueezeSAM

Weights = dict[str, Tensor]

#: What widening may change: the rest of two configurations has to be equal.
_WIDENED = ("name", "image_size", "patch_size", "widths", "click_radius")
#: Before they are divided by their sum.
_SMALLEST_PART, _LARGEST_PART = 0.5, 1.5


def widened(weights: Weights, narrow: ModelConfig, wide: ModelConfig, seed: int) -> Weights:
    """Weights of the wide network that compute what the narrow network computes.

    A channel of the wide network copies one of the narrow one's; the weights that read the copies
    share the original's weight in random parts, so that they learn different things. The larger
    patch embedding averages the pixels that the smaller one would have seen as one. A query's
    weights share in parts whose sum makes up for the longer heads, by whose root attention divides.

    Args:
        weights: State dict of the narrow network.
        narrow: Its configuration.
        wide: As many levels of at least as many channels, masks of the same size.
        seed: Of the parts.

    Returns:
        State dict of the wide network, float32. Fed with an image whose pixels' means over
        `wide.patch_size / narrow.patch_size` are the narrow network's pixels, and the same prompt
        maps and points, it returns the same masks and predicted IoUs.

    Raises:
        UsageError: The two networks do not fit each other.
    """
    _check_pair(narrow, wide)
    return _Widening(narrow, wide, seed).weights(weights)


def _check_pair(narrow: ModelConfig, wide: ModelConfig) -> None:
    pair = f"'{narrow.name}' cannot be widened into '{wide.name}'"
    kept = [field.name for field in fields(ModelConfig) if field.name not in _WIDENED]
    if differing := [name for name in kept if getattr(narrow, name) != getattr(wide, name)]:
        raise UsageError(f"{pair}: they differ in {', '.join(differing)}")
    if len(narrow.widths) != len(wide.widths) or narrow.mask_size != wide.mask_size:
        raise UsageError(f"{pair}: both need the same number of levels and the same mask size")
    if wide.patch_size % narrow.patch_size:
        raise UsageError(f"{pair}: the patch of the one has to be a multiple of the other's")
    if any(b < a for a, b in zip(narrow.widths, wide.widths, strict=True)):
        raise UsageError(f"{pair}: a level would lose channels")
    normed = [(narrow.embedding_dim, wide.embedding_dim)]
    if narrow.patch_norm == "group":
        normed.append((narrow.widths[0], wide.widths[0]))
    if any(b % a for a, b in normed):
        raise UsageError(
            f"{pair}: where a norm runs over channels, every channel needs as many copies as the "
            f"others, and {normed[-1][1]} is no multiple of {normed[-1][0]}"
        )


class _Widening:
    """Which channel each wide channel copies, and the weights that follow from that.

    A map is a tensor of indices: entry j is the narrow channel that wide channel j copies.
    """

    def __init__(self, narrow: ModelConfig, wide: ModelConfig, seed: int) -> None:
        self._narrow, self._wide = narrow, wide
        self._levels = [
            _copies(a, b) for a, b in zip(narrow.widths[:-1], wide.widths[:-1], strict=True)
        ]
        # Sines fill the first half of a point's channels and cosines the second.
        half = _copies(narrow.embedding_dim // 2, wide.embedding_dim // 2)
        self._half, self._embedding = half, torch.cat([half, half + narrow.embedding_dim // 2])
        self._levels.append(self._embedding)
        self._random = torch.Generator().manual_seed(seed)
        self._parts_of: dict[str, Tensor] = {}

    def weights(self, narrow: Weights) -> Weights:
        return {name: self._tensor(name, value) for name, value in narrow.items()}

    def _tensor(self, name: str, value: Tensor) -> Tensor:
        if value.ndim == 0:
            return value.clone()
        value = value.float()
        part, *path = name.split(".")
        if part == "encoder":
            return self._encoder(path, value)
        if part == "decoder":
            return self._decoder(path, value)
        if part == "mask_head":
            return self._mask_head(path, value)
        if part == "transformer":
            return self._transformer(path, value)
        if name == "point_encoder.frequencies":
            return value[:, self._half]
        # Tokens and embeddings: rows of channels.
        return value[:, self._embedding]

    def _encoder(self, path: list[str], value: Tensor) -> Tensor:
        if path[0] == "patch_embedding":
            if path[1] == "conv" and path[2] == "weight":
                factor = self._wide.patch_size // self._narrow.patch_size
                value = value.repeat_interleave(factor, 2).repeat_interleave(factor, 3) / factor**2
            return value[self._levels[0]]
        level = 0 if path[0] == "stem" else int(path[1]) + 1
        before = self._levels[max(level - 1, 0)]
        block = path[1:] if path[0] == "stem" else path[3:]
        return self._block(block, value, before, self._levels[level])

    def _decoder(self, path: list[str], value: Tensor) -> Tensor:
        level = len(self._levels) - 2 - int(path[1])
        below, skip = self._levels[level + 1], self._levels[level]
        narrow_up, wide_up = (c.widths[level + 1] // 2 for c in (self._narrow, self._wide))
        up = _copies(narrow_up, wide_up)
        if path[2] == "up":
            return self._upsampling(path[3:], value, below, up)
        joined = torch.cat([skip, up + self._narrow.widths[level]])
        return self._block(path[3:], value, joined, skip)

    def _upsampling(self, path: list[str], value: Tensor, below: Tensor, up: Tensor) -> Tensor:
        if path == ["conv", "weight"]:  # of a transposed convolution: inputs come first
            return self._reading(value.transpose(0, 1), below, up).transpose(0, 1)
        if self._wide.upsampling == "linear-shuffle":
            # Pixel shuffle takes four channels behind each other for one.
            up = (4 * up[:, None] + torch.arange(4)).flatten()
        return self._reading(value, below, up) if path == ["linear", "weight"] else value[up]

    def _block(self, path: list[str], value: Tensor, inputs: Tensor, outputs: Tensor) -> Tensor:
        """Convolution and norm number `path[0]` of a double block."""
        if path[1:] == ["conv", "weight"]:
            return self._reading(value, inputs if path[0] == "0" else outputs, outputs)
        return value[outputs]

    def _transformer(self, path: list[str], value: Tensor) -> Tensor:
        layer, leaf = path[-2:]
        if layer not in ("q_proj", "k_proj", "v_proj", "out_proj"):
            # Norms, and the layers of the MLP, which is as wide as its input.
            return self._square(value)
        narrow, wide = (
            c.embedding_dim // (1 if "self_attn" in path else 2) for c in (self._narrow, self._wide)
        )
        heads = self._wide.num_heads
        within = _copies(narrow // heads, wide // heads)
        inner = (torch.arange(heads)[:, None] * (narrow // heads) + within).flatten()
        if layer == "out_proj":
            return self._square(value, inner) if leaf == "weight" else value[self._embedding]
        rows = self._square(value, outputs=inner) if leaf == "weight" else value[inner]
        if layer != "q_proj":
            return rows
        parts = self._channel_parts(".".join(path[:-1]), inner) * math.sqrt(wide / narrow)
        return rows * (parts[:, None] if leaf == "weight" else parts)

    def _channel_parts(self, layer: str, copies: Tensor) -> Tensor:
        """A part for each output of a layer, the same for its weight and its bias."""
        if layer not in self._parts_of:
            self._parts_of[layer] = _parts((1, len(copies)), copies, self._random)[0]
        return self._parts_of[layer]

    def _mask_head(self, path: list[str], value: Tensor) -> Tensor:
        if "out" not in path:
            return self._square(value)
        if path[0] == "iou_mlp":
            every = torch.arange(len(value))
            return self._reading(value, self._embedding, every) if value.ndim == 2 else value
        # What comes out weighs the last map's channels: their copies share.
        features = self._levels[0]
        parts = self._channel_parts(".".join(path[:-1]), features)
        if value.ndim == 1:
            return value[features] * parts
        return self._reading(value, self._embedding, features) * parts[:, None]

    def _square(
        self, value: Tensor, inputs: Tensor | None = None, outputs: Tensor | None = None
    ) -> Tensor:
        """A vector over the embedding's channels, or a matrix between two sets of channels."""
        outputs = self._embedding if outputs is None else outputs
        if value.ndim == 1:
            return value[outputs]
        return self._reading(value, self._embedding if inputs is None else inputs, outputs)

    def _reading(self, value: Tensor, inputs: Tensor, outputs: Tensor) -> Tensor:
        """Weights OxI... of a layer that reads copies: each gets a random part."""
        parts = _parts((len(outputs), len(inputs)), inputs, self._random)
        copied = value[outputs][:, inputs]
        return copied * parts.reshape(parts.shape + (1,) * (value.ndim - 2))


def _copies(narrow: int, wide: int) -> Tensor:
    """Wide channels in the order of the narrow ones, over and over."""
    return torch.arange(wide) % narrow


def _parts(shape: tuple[int, int], copies: Tensor, generator: torch.Generator) -> Tensor:
    """Random positive numbers that sum to one over the copies of a channel, in every row."""
    drawn = torch.rand(shape, generator=generator) * (_LARGEST_PART - _SMALLEST_PART)
    drawn += _SMALLEST_PART
    sums = torch.zeros(shape[0], int(copies.max()) + 1).index_add_(1, copies, drawn)
    return drawn / sums[:, copies]


def deepened(weights: Weights, shallow: ModelConfig, deep: ModelConfig, seed: int) -> Weights:
    """Weights of a network with one more, finer level; what is new is random.

    The old network's patch embedding and first level have no place in it: their work becomes that
    of the new patch embedding and the first two levels, and `GrowingSqueezeSAM` fits those to it.

    Args:
        weights: State dict of the shallow network.
        shallow: Its configuration.
        deep: The same levels behind a finer one, at twice the input's size.
        seed: Of the new parts.

    Raises:
        UsageError: The two networks do not fit each other.
    """
    _check_deeper(shallow, deep)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        grown = SqueezeSAM(deep).state_dict()
    kept = {_deeper_name(name): value for name, value in weights.items()}
    return grown | {name: value for name, value in kept.items() if name}


def _check_deeper(shallow: ModelConfig, deep: ModelConfig) -> None:
    pair = f"'{shallow.name}' cannot be deepened into '{deep.name}'"
    changed = ("name", "image_size", "widths", "click_radius")
    kept = [field.name for field in fields(ModelConfig) if field.name not in changed]
    if differing := [name for name in kept if getattr(shallow, name) != getattr(deep, name)]:
        raise UsageError(f"{pair}: they differ in {', '.join(differing)}")
    if deep.widths[1:] != shallow.widths or deep.image_size != 2 * shallow.image_size:
        raise UsageError(
            f"{pair}: it has to have the same levels behind one more, and half the input's size"
        )


def _deeper_name(name: str) -> str | None:
    """Where a shallow network's tensor goes; None for those that are learned anew."""
    first, second, *rest = [*name.split("."), ""]
    if first == "encoder":
        if second != "levels":
            return None
        return ".".join([first, second, str(int(rest[0]) + 1), *rest[1:-1]])
    # The masks' weights are of the last map, which is a new one.
    return None if second == "mask_mlps" and "out" in rest else name


def new_parts(deep: ModelConfig) -> tuple[str, ...]:
    """Patterns of the parameters that `deepened` leaves random."""
    return (
        "encoder.patch_embedding.*",
        "encoder.stem.*",
        "encoder.levels.0.*",
        f"decoder.levels.{len(deep.widths) - 2}.*",
        "mask_head.mask_mlps.*.out.*",
    )


class GrowingSqueezeSAM(SqueezeSAM):
    """A deepened network whose new parts learn from the network that it was made from.

    The new encoder side learns to give the next level what that had before; the new decoder side
    learns the masks on top of the last map that was there before. In evaluation mode, and in its
    state dict, it is a `SqueezeSAM`.
    """

    def __init__(self, config: ModelConfig, shallow: ModelConfig, weights: Weights) -> None:
        """The old first level, outside of this network's parameters.

        Args:
            config: Of the deepened network.
            shallow: Of the network it was made from.
            weights: That network's state dict.
        """
        super().__init__(config)
        width = shallow.widths[0]
        first = nn.Sequential(
            PatchEmbedding(shallow), DoubleConv(width, width, shallow.block_order)
        )
        prefixes = {"0.": "encoder.patch_embedding.", "1.": "encoder.stem."}
        first.load_state_dict(
            {
                short + name.removeprefix(long): value
                for short, long in prefixes.items()
                for name, value in weights.items()
                if name.startswith(long)
            }
        )
        # In a tuple it is no part of this module: neither saved nor trained.
        self._old = (first.eval().requires_grad_(False),)

    def forward(  # type: ignore[override]  # the error comes along while it trains
        self, image: Tensor, prompt_maps: Tensor, point_coords: Tensor, point_labels: Tensor
    ) -> tuple[Tensor, ...]:
        """The outputs of `SqueezeSAM`, while training followed by the encoder's error.

        Returns:
            `low_res_masks` BxMxsxs, `iou_predictions` BxM, and while training the squared error of
            the second level's map as a share of the old map's mean square.
        """
        if not self.training:
            return super().forward(image, prompt_maps, point_coords, point_labels)
        pixels = self._pixels(image, prompt_maps)
        finest = self.encoder.stem(self.encoder.patch_embedding(pixels))
        with torch.no_grad():
            second = self._old[0].to(pixels.device)(F.avg_pool2d(pixels, 2, 2))
            tokens, last = self._old_way(second, self._tokens(point_coords, point_labels))
        error = F.mse_loss(self.encoder.levels[0](finest), second) / second.square().mean()
        features = self.decoder.levels[-1](last, finest.detach())
        return *self.mask_head(tokens, features), error

    def _old_way(self, second: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """From the old first map to the tokens and the old last map."""
        maps = [second]
        for level in self.encoder.levels[1:]:
            maps.append(level(maps[-1]))
        *skips, deepest = maps
        tokens, x = self.transformer(tokens, deepest)
        for level, skip in zip(self.decoder.levels[:-1], reversed(skips), strict=True):
            x = level(x, skip)
        return tokens, x
