"""Everything a training run is made of, as data: optimizer, losses, prompts, augmentation."""

import hashlib
from dataclasses import dataclass

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
    """

    merging: float = 1.0
    cropping: float = 0.5
    min_crop: float = 0.25
    flipping: float = 0.5
    colour: float = 0.3
    grey: float = 0.05
    min_target_pixels: int = 16


@dataclass(frozen=True)
class LossWeights:
    """Weights of the losses. Focal to dice is 20 to 1 as in SAM.

    Args:
        focal: Weight of the focal loss.
        dice: Weight of the dice loss.
        iou: Weight of the squared error of the predicted IoU.
        all_masks: Weight of the mean over all masks beside the best mask's loss; without it
            a mask that is never the best early on stays dead.
    """

    focal: float = 20.0
    dice: float = 1.0
    iou: float = 1.0
    all_masks: float = 0.05


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
    """

    samples: int
    batch_size: int
    learning_rate: float
    warmup_samples: int
    weight_decay: float = 0.05
    clip_norm: float = 1.0
    ema_decay: float = 0.999
    seed: int = 0


#: Share of the samples that comes from each data source. A source that is not named gets its share
#: of the photos; the shares are then scaled to sum to one.
SourceWeights = tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Recipe:
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
    """

    preset: str
    optimization: Optimization
    photo_side: int = 512
    objects_per_image: int = 1
    source_weights: SourceWeights = ()
    prompts: PromptMix = PromptMix()
    augmentation: Augmentation = Augmentation()
    losses: LossWeights = LossWeights()


@dataclass(frozen=True)
class SaliencyRecipe:
    """The training run of a saliency network: every object of a photo is salient.

    Args:
        preset: Name of the network's configuration.
        optimization: How the weights are found.
        photo_side: Longest side of a photo when it is prepared, in pixels.
        source_weights: Shares of the data sources; those with share 0 are left out.
        augmentation: Changes of the photo.
    """

    preset: str
    optimization: Optimization
    photo_side: int = 512
    source_weights: SourceWeights = ()
    augmentation: Augmentation = Augmentation()


#: Shares of the project's reference data. COCO's everyday scenes are the hardest and the fewest.
REFERENCE_SOURCES = (
    ("COCO-2017 instances", 0.48),
    ("ECSSD", 0.21),
    ("feral-cat-segmentation v1 (Roboflow)", 0.15),
    ("CCP", 0.05),
    ("DAVIS-2016 (val sequences)", 0.05),
    ("Human-Segmentation-Dataset (remove.bg pseudo-masks)", 0.04),
    ("Cat-Segmentation (Asirra cats)", 0.02),
)

#: ECSSD was made for saliency; the other sources name one kind of object, salient or not.
SALIENT_SOURCES = tuple(
    (source, 1.0 if source == "ECSSD" else 0.0) for source, _ in REFERENCE_SOURCES
)

RECIPES: dict[str, Recipe | SaliencyRecipe] = {
    "nano": Recipe(
        preset="nano",
        optimization=Optimization(
            samples=320_000, batch_size=32, learning_rate=1.5e-3, warmup_samples=8_000
        ),
        source_weights=REFERENCE_SOURCES,
        augmentation=Augmentation(merging=0.5, cropping=0.6),
    ),
    # A second, shorter decay from the weights of "nano", with more of the hardest prompt.
    "nano-refine": Recipe(
        preset="nano",
        optimization=Optimization(
            samples=120_000, batch_size=32, learning_rate=9e-4, warmup_samples=2_000
        ),
        source_weights=REFERENCE_SOURCES,
        prompts=PromptMix(
            one_click=0.36, several_clicks=0.27, box=0.23, box_and_clicks=0.10, nothing=0.04
        ),
        augmentation=Augmentation(merging=0.5, cropping=0.6),
    ),
    # arXiv 2312.06736, section 4: effective batch 256, 5e-4, linear decay, 8 masks an image.
    # 4 masks an image here, because most photos of the reference data hold fewer.
    "paper": Recipe(
        preset="paper",
        optimization=Optimization(
            samples=600_000, batch_size=256, learning_rate=5e-4, warmup_samples=20_000
        ),
        photo_side=1024,
        objects_per_image=4,
        source_weights=REFERENCE_SOURCES,
        augmentation=Augmentation(merging=0.5, cropping=0.6),
    ),
    "saliency": SaliencyRecipe(
        preset="saliency",
        optimization=Optimization(
            samples=60_000, batch_size=32, learning_rate=1e-3, warmup_samples=2_000, ema_decay=0.998
        ),
        source_weights=SALIENT_SOURCES,
        augmentation=Augmentation(merging=0.0, cropping=0.5, min_crop=0.6),
    ),
}


def recipe(name: str) -> Recipe | SaliencyRecipe:
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


def fingerprint(plan: Recipe | SaliencyRecipe) -> str:
    """A hash of everything in a recipe: a run resumes only its own."""
    return hashlib.sha256(repr(plan).encode()).hexdigest()
