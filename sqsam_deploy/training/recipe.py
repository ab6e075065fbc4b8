"""Everything a training run is made of, as data: optimizer, losses, prompts, augmentation."""

import hashlib
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sqsam_deploy.errors import UsageError


@dataclass(frozen=True)
class PromptMix:
    """How often each kind of prompt is drawn.

    Args:
        one_click: Share of samples with one click.
        several_clicks: Share with two to five clicks.
        box: Share with a box alone.
        box_and_clicks: Share with a box and one to three clicks.
        nothing: Share without a prompt; the target is the largest object.
        outlier: Probability that one more foreground click lies on the background
            (arXiv 2312.06736, "outlier injection"), given two or more clicks.
        background: Probability of one or two honest background clicks beside the object.
        exact_box: Share of the boxes that are not jittered.
        box_noise: Standard deviation of a box edge's jitter, in box sides; cut at two deviations.
    """

    one_click: float = 0.27
    several_clicks: float = 0.29
    box: float = 0.27
    box_and_clicks: float = 0.12
    nothing: float = 0.05
    outlier: float = 0.1
    background: float = 0.15
    exact_box: float = 0.4
    box_noise: float = 0.05


@dataclass(frozen=True)
class Augmentation:
    """How a photo is changed before it becomes a sample.

    Args:
        merging: Probability that masks inside a larger mask are dropped.
        cropping: Probability of a crop around a random object.
        min_crop: Smallest side of a crop, as a share of the photo's.
        flipping: Probability of a mirrored sample.
        colour: Largest relative change of brightness, contrast and saturation.
        grey: Probability of a sample without colour.
        min_target_pixels: Smallest object, in pixels of the low-resolution mask.
        pasting: Share of the scenes with an object of another photo in front (arXiv 2012.07177).
            Photos with one object each teach a network to ignore the clicks.
    """

    merging: float = 1.0
    cropping: float = 0.5
    min_crop: float = 0.25
    flipping: float = 0.5
    colour: float = 0.3
    grey: float = 0.05
    min_target_pixels: int = 16
    pasting: float = 0.0


@dataclass(frozen=True)
class LossWeights:
    """Weights of the losses. Focal to dice is 20 to 1 as in SAM.

    Args:
        focal: Weight of the focal loss.
        dice: Weight of the dice loss.
        iou: Weight of the squared error of the predicted IoU.
        all_masks: Weight of the mean over all masks beside the best mask's loss; without it
            a mask that is never the best early on stays dead.
        selected: Weight of the loss of the mask with the highest predicted IoU, the one that
            counts; without it the best of the masks is right far more often than the chosen one.
    """

    focal: float = 20.0
    dice: float = 1.0
    iou: float = 1.0
    all_masks: float = 0.05
    selected: float = 0.5


@dataclass(frozen=True)
class Optimization:
    """How the weights are found: AdamW with a linear decay and averaged weights.

    Args:
        samples: Samples of the whole run.
        batch_size: Samples of one optimizer step, over all processes.
        learning_rate: Peak learning rate.
        warmup_samples: Samples over which the learning rate rises.
        weight_decay: Decoupled decay of convolution and linear weights.
        clip_norm: Largest gradient norm.
        ema_decay: Decay of the averaged weights, the ones that are evaluated and saved.
        seed: Seed of the weights and of every sample.
        trained: Patterns (`*`, `?`) of the parameters that learn; the others stay as they are, and
            so do the statistics of a BatchNorm without a parameter that learns.
        frozen_norms: Whether every BatchNorm keeps its statistics. A small batch has too few
            values for those of a 1x1 map.
    """

    samples: int
    batch_size: int
    learning_rate: float
    warmup_samples: int
    weight_decay: float = 0.05
    clip_norm: float = 1.0
    ema_decay: float = 0.999
    seed: int = 0
    trained: tuple[str, ...] = ("*",)
    frozen_norms: bool = False


#: Share of the samples that comes from each data source. A source that is not named gets its share
#: of the photos; the shares are then scaled to sum to one.
SourceWeights = tuple[tuple[str, float], ...]

#: How a network is made from the weights of a smaller one.
Growth = Literal["widened", "deepened"]


@dataclass(frozen=True)
class TrainingRecipe:
    """The training run of a prompted network.

    Args:
        preset: Name of the network's configuration.
        optimization: How the weights are found.
        photo_side: Longest side of a photo when it is prepared, in pixels. A crop of nano's is up
            to twice the input's resolution.
        objects_per_image: Samples that share one augmented photo.
        source_weights: Shares of the data sources.
        prompts: Mix of prompts.
        augmentation: Changes of the photo.
        losses: Weights of the losses.
        start: Name of the recipe whose weights this one starts from; None for random ones.
        growth: How those weights become this network's; None where they are of the same network.
        initial_weights: Name of the bundled weights to start from where none are given.
        validation_share: Share of the data's groups that is held out.
    """

    preset: str
    optimization: Optimization
    photo_side: int = 512
    objects_per_image: int = 1
    source_weights: SourceWeights = ()
    prompts: PromptMix = PromptMix()
    augmentation: Augmentation = Augmentation()
    losses: LossWeights = LossWeights()
    start: str | None = None
    growth: Growth | None = None
    initial_weights: str | None = None
    validation_share: float = 0.04


@dataclass(frozen=True)
class SaliencyRecipe:
    """The training run of a saliency network: every object of a photo is salient.

    Args:
        preset: Name of the network's configuration.
        optimization: How the weights are found.
        photo_side: Longest side of a photo when it is prepared, in pixels.
        source_weights: Shares of the data sources; those with share 0 are left out.
        augmentation: Changes of the photo.
        validation_share: Share of the data's groups that is held out.
    """

    preset: str
    optimization: Optimization
    photo_side: int = 512
    source_weights: SourceWeights = ()
    augmentation: Augmentation = Augmentation()
    validation_share: float = 0.04


AnyRecipe = TrainingRecipe | SaliencyRecipe

_AUGMENTATION = Augmentation(merging=0.5, cropping=0.6, pasting=0.5)

RECIPES: dict[str, AnyRecipe] = {
    # Somebody's own photos, few of them: the encoder keeps what it has learnt from many, no norm
    # moves, and the rate is too low to undo anything.
    "fine-tune": TrainingRecipe(
        preset="paper",
        optimization=Optimization(
            samples=600,
            batch_size=6,
            learning_rate=1e-4,
            warmup_samples=60,
            ema_decay=0.95,
            trained=("decoder.*", "transformer.*", "mask_head.*", "*_token", "mask_tokens"),
            frozen_norms=True,
        ),
        photo_side=1024,
        objects_per_image=2,
        augmentation=_AUGMENTATION,
        initial_weights="paper",
        validation_share=0.2,
    ),
    "nano": TrainingRecipe(
        preset="nano",
        optimization=Optimization(
            samples=320_000, batch_size=32, learning_rate=1.5e-3, warmup_samples=8_000
        ),
        augmentation=_AUGMENTATION,
    ),
    # A second, shorter decay from the weights of "nano", with more of the hardest prompt.
    "nano-refine": TrainingRecipe(
        preset="nano",
        optimization=Optimization(
            samples=110_000, batch_size=32, learning_rate=1e-3, warmup_samples=2_000
        ),
        photo_side=640,
        prompts=PromptMix(
            one_click=0.34, several_clicks=0.27, box=0.24, box_and_clicks=0.10, nothing=0.05
        ),
        augmentation=_AUGMENTATION,
        start="nano",
    ),
    # A rate of 7e-4 undid for 10,000 samples what widening had kept (docs/training.md).
    "paper-512": TrainingRecipe(
        preset="paper-512",
        optimization=Optimization(
            samples=54_000, batch_size=32, learning_rate=3e-4, warmup_samples=2_000
        ),
        photo_side=640,
        augmentation=_AUGMENTATION,
        start="nano",
        growth="widened",
    ),
    "paper-fit": TrainingRecipe(
        preset="paper",
        optimization=Optimization(
            samples=2_560,
            batch_size=16,
            learning_rate=2e-3,
            warmup_samples=160,
            ema_decay=0.99,
            trained=(
                "encoder.patch_embedding.*",
                "encoder.stem.*",
                "encoder.levels.0.*",
                "decoder.levels.7.*",
                "mask_head.mask_mlps.*.out.*",
            ),
        ),
        photo_side=640,
        objects_per_image=2,
        augmentation=_AUGMENTATION,
        start="paper-512",
        growth="deepened",
    ),
    "paper": TrainingRecipe(
        preset="paper",
        optimization=Optimization(
            samples=200_000,
            batch_size=16,
            learning_rate=1.5e-4,
            warmup_samples=320,
            frozen_norms=True,
        ),
        photo_side=640,
        objects_per_image=2,
        augmentation=_AUGMENTATION,
        start="paper-fit",
    ),
    # arXiv 2312.06736, section 4: effective batch 256, 5e-4, linear decay, 8 masks an image; from
    # random weights, for GPUs. 4 masks an image here, because most photos hold fewer.
    "paper-scratch": TrainingRecipe(
        preset="paper",
        optimization=Optimization(
            samples=600_000, batch_size=256, learning_rate=5e-4, warmup_samples=20_000
        ),
        photo_side=1024,
        objects_per_image=4,
        augmentation=_AUGMENTATION,
    ),
    "saliency": SaliencyRecipe(
        preset="saliency",
        optimization=Optimization(
            samples=200_000, batch_size=32, learning_rate=1.5e-3, warmup_samples=3_000
        ),
        augmentation=Augmentation(merging=0.0, cropping=0.5, min_crop=0.6, colour=0.35),
    ),
}


def recipe(name: str) -> AnyRecipe:
    """The recipe called `name`.

    Raises:
        UsageError: No recipe has that name.
    """
    try:
        return RECIPES[name]
    except KeyError:
        raise UsageError(
            f"no training recipe for '{name}': choose one of {', '.join(RECIPES)}"
        ) from None


def fingerprint(plan: AnyRecipe) -> str:
    """A hash of everything in a recipe: a run resumes only its own."""
    return hashlib.sha256(repr(plan).encode()).hexdigest()


def stages(name: str) -> list[str]:
    """The recipes that lead to the recipe called `name`, each from the weights of the one before.

    Raises:
        UsageError: No recipe has that name.
    """
    plan = recipe(name)
    start = plan.start if isinstance(plan, TrainingRecipe) else None
    return [*(stages(start) if start else []), name]


def read_shares(path: Path) -> SourceWeights:
    """Reads the shares of the data sources from a TOML file's table `shares`.

    A key is a source's name as the data gives it (`dataset` in `index.json`), a value its share of
    the samples; 0 leaves it out.

    Raises:
        UsageError: The file is missing or no such file.
    """
    try:
        shares = tomllib.loads(path.read_text(encoding="utf-8")).get("shares")
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{path} cannot be read as TOML: {error}") from None
    if not isinstance(shares, dict) or not shares:
        raise UsageError(f"{path} has no table [shares] with a number for each data source")
    for name, share in shares.items():
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share < 1e9:
            raise UsageError(f"{path}: the share of '{name}' is {share!r}, not a number from 0 on")
    return tuple((name, float(share)) for name, share in shares.items())
