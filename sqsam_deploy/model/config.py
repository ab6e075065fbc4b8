"""The network's shape as data: one frozen configuration per published or trained variant."""

from dataclasses import dataclass
from typing import Literal

from sqsam_deploy.errors import UsageError

#: Order of convolution, BatchNorm and ReLU inside a block.
BlockOrder = Literal["conv-bn-relu", "conv-relu-bn"]
#: How the decoder doubles the resolution.
Upsampling = Literal["conv-transpose", "linear-shuffle"]
PatchNorm = Literal["batch", "group"]
#: What the two early-fusion channels hold, in order.
MapOrder = Literal["clicks-box", "box-clicks"]

#: Mean and standard deviation of ImageNet's pixels in [0, 1], RGB.
PIXEL_MEAN = (0.485, 0.456, 0.406)
PIXEL_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class ModelConfig:
    """Everything that fixes a SqueezeSAM network and the prompts it takes.

    Args:
        name: The preset's name.
        image_size: Side of the square input, in pixels.
        patch_size: Kernel and stride of the patch embedding.
        widths: Channels of each encoder level, finest first; every level halves the resolution.
        block_order: Order of convolution, norm and activation in the double blocks.
        upsampling: ConvTranspose 2x2, or a per-pixel linear layer with pixel shuffle.
        patch_norm: Norm behind the patch embedding.
        late_fusion: Whether prompt points also enter the transformer as tokens.
        map_order: Order of the two prompt channels behind RGB.
        click_radius: Radius of a click's disc, in pixels of the input square.
        first_mask: Index of the first of the four mask tokens that is returned. The release of
            December 2023 drops token 0, as SAM does for `multimask_output`.
        num_heads: Attention heads of the transformer.
        transformer_depth: Two-way blocks.
        max_clicks: Clicks of one prompt.
        carve_background: Whether a background click cuts its disc out of the box channel. The
            release ignores background clicks; without this the channels could not show them.
        antialias: Whether the image is low-pass filtered when it is resized to the square.
    """

    name: str
    image_size: int
    patch_size: int
    widths: tuple[int, ...]
    block_order: BlockOrder = "conv-bn-relu"
    upsampling: Upsampling = "conv-transpose"
    patch_norm: PatchNorm = "batch"
    late_fusion: bool = True
    map_order: MapOrder = "clicks-box"
    click_radius: int = 10
    first_mask: int = 0
    num_heads: int = 8
    transformer_depth: int = 2
    max_clicks: int = 6
    carve_background: bool = True
    antialias: bool = True

    #: Mask tokens of SAM's decoder.
    num_mask_tokens: int = 4

    @property
    def mask_size(self) -> int:
        """Side of the low-resolution masks, in pixels."""
        return self.image_size // self.patch_size

    @property
    def num_masks(self) -> int:
        """Masks that one prediction returns."""
        return self.num_mask_tokens - self.first_mask

    @property
    def embedding_dim(self) -> int:
        """Channels of the deepest map and of the tokens."""
        return self.widths[-1]

    @property
    def max_points(self) -> int:
        """Point tokens of one prompt: the clicks and a box's two corners."""
        return self.max_clicks + 2

    @property
    def bottleneck_size(self) -> int:
        """Side of the deepest map."""
        return self.mask_size >> (len(self.widths) - 1)


#: The network of arXiv 2312.06736. Figure 4 (the exact widths) is not available as text; these are
#: the power-of-two widths that meet the bounds the text states.
PAPER = ModelConfig(
    name="paper",
    image_size=1024,
    patch_size=4,
    widths=(64, 128, 128, 128, 128, 128, 256, 256, 256),
)

#: `paper` without its finest level, at half the resolution: a stage on the way to it.
PAPER_512 = ModelConfig(
    name="paper-512",
    image_size=512,
    patch_size=4,
    widths=PAPER.widths[1:],
    click_radius=5,
)

#: The checkpoint that was public in December 2023.
RELEASE_2023_12 = ModelConfig(
    name="release-2023-12",
    image_size=512,
    patch_size=2,
    widths=(64, 128, 128, 128, 128, 164, 256, 256),
    block_order="conv-relu-bn",
    upsampling="linear-shuffle",
    patch_norm="group",
    late_fusion=False,
    map_order="box-clicks",
    click_radius=5,
    first_mask=1,
    carve_background=False,
    antialias=False,
)

#: The paper's structure at a quarter of its resolution and parameters, for CPUs, tests and CI.
NANO = ModelConfig(
    name="nano",
    image_size=256,
    patch_size=2,
    widths=(16, 32, 48, 64, 96, 128, 128, 128),
    click_radius=3,
)

PRESETS = {config.name: config for config in (PAPER, PAPER_512, RELEASE_2023_12, NANO)}


def preset(name: str) -> ModelConfig:
    """The configuration called `name`.

    Raises:
        UsageError: No preset has that name.
    """
    try:
        return PRESETS[name]
    except KeyError:
        raise UsageError(f"unknown preset '{name}': choose one of {', '.join(PRESETS)}") from None
