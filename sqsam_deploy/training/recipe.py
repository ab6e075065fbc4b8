"""Everything a training run is made of, as data: optimizer, losses, prompts, augmentation."""

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
class Recipe:
    """One training run.

    Args:
        preset: Name of the network's configuration.
        samples: Samples (one object with one prompt each) of the whole run.
        batch_size: Samples of one optimizer step, over all processes.
        objects_per_image: Samples that share one augmented photo.
        learning_rate: Peak learning rate.
        warmup_samples: Samples over which the learning rate rises.
        weight_decay: Decoupled decay of convolution and linear weights.
        clip_norm: Largest gradient norm.
        ema_decay: Decay of the averaged weights, the ones that are evaluated and saved.
        seed: Seed of the weights and of every sample.
        source_weights: Share of the samples from each data source; the sources that are not
            named share what is left by their number of images.
        prompts: Mix of prompts.
        augmentation: Changes of the photo.
        losses: Weights of the losses.
    """

    preset: str
    samples: int
    batch_size: int
    objects_per_image: int
    learning_rate: float
    warmup_samples: int
    weight_decay: float = 0.05
    clip_norm: float = 1.0
    ema_decay: float = 0.999
    seed: int = 0
    source_weights: tuple[tuple[str, float], ...] = ()
    prompts: PromptMix = PromptMix()
    augmentation: Augmentation = Augmentation()
    losses: LossWeights = LossWeights()


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

RECIPES = {
    "nano": Recipe(
        preset="nano",
        samples=320_000,
        batch_size=32,
        objects_per_image=1,
        learning_rate=1.5e-3,
        warmup_samples=8_000,
        source_weights=REFERENCE_SOURCES,
        augmentation=Augmentation(merging=0.5, cropping=0.6),
    ),
    # arXiv 2312.06736, section 4: effective batch 256, 5e-4, linear decay, 8 masks an image.
    # 4 masks an image here, because most photos of the reference data hold fewer.
    "paper": Recipe(
        preset="paper",
        samples=600_000,
        batch_size=256,
        objects_per_image=4,
        learning_rate=5e-4,
        warmup_samples=20_000,
        source_weights=REFERENCE_SOURCES,
        augmentation=Augmentation(merging=0.5, cropping=0.6),
    ),
}


def recipe(name: str) -> Recipe:
    """The recipe for the preset called `name`.

    Raises:
        UsageError: No recipe has that name.
    """
    try:
        return RECIPES[name]
    except KeyError:
        raise UsageError(
            f"no training recipe for '{name}': choose one of {', '.join(RECIPES)}"
        ) from None
