"""Everything a training run is made of, as data: optimizer, losses, prompts, augmentation."""

import hashlib
import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, TypeAdapter, ValidationError

from sqsam_deploy.artifact.documents import first_problem
from sqsam_deploy.errors import UsageError

#: Of every dataclass here: a key that does not exist is refused.
_CHECKED = ConfigDict(extra="forbid")


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
        box_noise_pixels: The most pixels of the prepared photo by which an edge moves.
    """

    __pydantic_config__ = _CHECKED

    one_click: float = 0.27
    several_clicks: float = 0.29
    box: float = 0.27
    box_and_clicks: float = 0.12
    nothing: float = 0.05
    outlier: float = 0.1
    background: float = 0.15
    exact_box: float = 0.4
    box_noise: float = 0.05
    box_noise_pixels: float = math.inf


@dataclass(frozen=True)
class Augmentation:
    """How a photo is changed before it becomes a sample.

    Args:
        merging: Probability that masks inside a larger mask are dropped.
        cropping: Probability of a crop around a random object.
        min_crop: Smallest side of a crop, as a share of the photo's.
        flipping: Probability of a mirrored sample.
        color: Largest relative change of brightness, contrast and saturation.
        gray: Probability of a sample without color.
        min_target_pixels: Smallest object, in pixels of the low-resolution mask.
        largest: Largest object, as a share of the photo.
        pasting: Share of the scenes with an object of another photo in front (arXiv 2012.07177).
            Photos with one object each teach a network to ignore the clicks.
    """

    __pydantic_config__ = _CHECKED

    merging: float = 1.0
    cropping: float = 0.5
    min_crop: float = 0.25
    flipping: float = 0.5
    color: float = 0.3
    gray: float = 0.05
    min_target_pixels: int = 16
    largest: float = 1.0
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

    __pydantic_config__ = _CHECKED

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

    __pydantic_config__ = _CHECKED

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
        needs_weights: Whether the run is of no use from random weights, and they must be given.
        validation_share: Share of the data's groups that is held out.
        mixes: Shares of the trained weights in those that are kept, the rest being the weights
            that the run started from (arXiv 2109.01903). Of several, the one with the highest mean
            score on the validation photos is taken, of equals the first.
    """

    __pydantic_config__ = _CHECKED

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
    needs_weights: bool = False
    validation_share: float = 0.04
    mixes: tuple[float, ...] = (1.0,)


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

    __pydantic_config__ = _CHECKED

    preset: str
    optimization: Optimization
    photo_side: int = 512
    source_weights: SourceWeights = ()
    augmentation: Augmentation = Augmentation()
    validation_share: float = 0.04


AnyRecipe = TrainingRecipe | SaliencyRecipe

#: Keys of `Augmentation` that earlier versions spelled otherwise: their files are read, and their
#: runs resumed.
_EARLIER_KEYS = {"colour": "color", "grey": "gray"}

#: What `sqsam-train --without` leaves out, by the part of the recipe that holds its probability.
AUGMENTATIONS: dict[str, Literal["augmentation", "prompts"]] = {
    "merging": "augmentation",
    "outlier": "prompts",
    "cropping": "augmentation",
    "pasting": "augmentation",
    "flipping": "augmentation",
    "color": "augmentation",
    "gray": "augmentation",
}


def _load(tables: Mapping[str, Any], name: str) -> AnyRecipe:
    """A recipe from its table; raises pydantic's error for a key that is wrong."""
    table = _based(tables, name)
    if table.pop("task", "prompts") == "saliency":
        return TypeAdapter(SaliencyRecipe).validate_python(table)
    return TypeAdapter(TrainingRecipe).validate_python(table)


def _based(tables: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A table over the one that it names as its `base`."""
    table = dict(tables[name])
    base = table.pop("base", None)
    return table if base is None else _merged(_based(tables, base), table)


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = {**below, **above}
    for key, value in above.items():
        if isinstance(value, dict) and isinstance(below.get(key), dict):
            merged[key] = _merged(below[key], value)
    return merged


_TABLES: dict[str, Any] = tomllib.loads(
    (files("sqsam_deploy.training") / "recipes.toml").read_text(encoding="utf-8")
)
RECIPES: dict[str, AnyRecipe] = {name: _load(_TABLES, name) for name in _TABLES}


def recipe(name: str) -> AnyRecipe:
    """The recipe called `name`, or that of a TOML file.

    Raises:
        UsageError: No recipe has that name, or the file is none.
    """
    if name in RECIPES:
        return RECIPES[name]
    if name.endswith(".toml"):
        return read_recipe(Path(name))
    raise UsageError(
        f"no training recipe for '{name}': choose one of {', '.join(RECIPES)}, or a .toml file"
    )


def read_recipe(path: Path) -> AnyRecipe:
    """A recipe from a file of its own: the keys of a table of `recipes.toml`.

    Raises:
        UsageError: The file is missing, no TOML, or holds a key or value that no recipe has.
    """
    table = _read_toml(path)
    if isinstance(changes := table.get("augmentation"), dict):
        table["augmentation"] = {_EARLIER_KEYS.get(key, key): changes[key] for key in changes}
    base = table.get("base")
    if base is not None and base not in _TABLES:
        raise UsageError(f"{path}: base: there is no recipe '{base}', but {', '.join(_TABLES)}")
    try:
        return _load({**_TABLES, str(path): table}, str(path))
    except ValidationError as error:
        raise UsageError(f"{path}: {first_problem(error)}") from None


def without(plan: AnyRecipe, names: str) -> AnyRecipe:
    """A recipe that leaves augmentations out.

    Args:
        plan: The recipe.
        names: Keys of `AUGMENTATIONS`, joined by commas.

    Raises:
        UsageError: There is no such augmentation, or the recipe has none of that kind.
    """
    for name in (word.strip() for word in names.split(",")):
        part = AUGMENTATIONS.get(name)
        if part is None:
            known = ", ".join(AUGMENTATIONS)
            raise UsageError(f"--without: there is no augmentation '{name}', but {known}")
        if part == "augmentation":
            plan = replace(plan, augmentation=replace(plan.augmentation, **{name: 0}))
        elif isinstance(plan, TrainingRecipe):
            plan = replace(plan, prompts=replace(plan.prompts, **{name: 0}))
        else:
            raise UsageError(f"--without {name}: a recipe for saliency has no prompts")
    return plan


def fingerprint(plan: AnyRecipe) -> str:
    """A hash of everything in a recipe: a run resumes only its own."""
    text = repr(plan)
    for earlier, now in _EARLIER_KEYS.items():
        text = text.replace(f" {now}=", f" {earlier}=")
    return hashlib.sha256(text.encode()).hexdigest()


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
    shares = _read_toml(path).get("shares")
    if not isinstance(shares, dict) or not shares:
        raise UsageError(f"{path} has no table [shares] with a number for each data source")
    for name, share in shares.items():
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share < 1e9:
            raise UsageError(f"{path}: the share of '{name}' is {share!r}, not a number from 0 on")
    return tuple((name, float(share)) for name, share in shares.items())


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{path} cannot be read as TOML: {error}") from None
