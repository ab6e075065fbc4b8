"""The request of a training run, whose fields are the options of `sqsam-train`."""

from dataclasses import KW_ONLY, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from sqsam_deploy._internal.requests import NOT_NEGATIVE, POSITIVE, convert_paths

if TYPE_CHECKING:
    from sqsam_deploy.training.recipe import AnyRecipe


@dataclass(frozen=True)
class TrainRequest:
    """Which network to train, on which data, and how.

    Attributes:
        data: Photos and masks: a folder with index.json, one in SA-1B's format, or a COCO or LVIS
            file.
        output: Folder of the run. A run that was interrupted continues from here.
        preset: Recipe: fine-tune (trained weights on your own photos), paper (from nothing, in
            stages), or one network or stage: nano, nano-refine, paper-512, paper-fit,
            paper-scratch, saliency; the paper's own for a GPU cluster: squeezesam,
            salient-squeezesam, salient-squeezesam-fine-tuned; or a TOML file.
        evaluation: Photos and masks on which the finished weights are scored.
        cache: Folder in which decoded photos are kept between runs.
        initial_weights: Weights of the same network to train on, bundled ones by name or a file.
            fine-tune takes those of any network, and paper without this option.
        grow_from: Weights of a smaller network, by name or a file. The recipe's stages after that
            network are run.
        shares: TOML file whose table [shares] gives each data source its share of the samples.
            Without it, every photo counts the same.
        without: Augmentations to leave out, joined by commas: merging, outlier, cropping, pasting,
            flipping, color, gray.
        samples: Number of samples of each stage. Without it, the recipe's.
        batch_size: Number of samples of one step, over all processes. Without it, the recipe's.
        learning_rate: Peak learning rate. Without it, the recipe's.
        seed: Seed of the weights and samples.
        max_minutes: Time budget of each stage in minutes. The learning rate has decayed when it is
            used up.
        device: Device to compute on. With auto, CUDA where there is a GPU.
        precision: Precision of the arithmetic; bf16 is mixed precision (autocast). With auto, bf16
            where the processor multiplies it.
        execution: Whether torch compiles the network. With auto, it does on CUDA only, because
            compiling does not pay on a CPU.
        workers: Number of processes that draw samples, for each training process.
        threads: Number of CPU threads. Without it, torch's default.
        validate_every: Number of steps between two validations.
        license: License of the weights, for their metadata.
    """

    data: Annotated[Path, Parameter(metavar="DIR|FILE")]
    output: Annotated[Path, Parameter(metavar="DIR")]
    _: KW_ONLY
    preset: str = "fine-tune"
    evaluation: Annotated[Path | None, Parameter(metavar="DIR|FILE")] = None
    cache: Annotated[Path, Parameter(metavar="DIR")] = Path("runs/prepared")
    initial_weights: Annotated[Path | None, Parameter(metavar="NAME|FILE")] = None
    grow_from: Annotated[Path | None, Parameter(metavar="NAME|FILE")] = None
    shares: Annotated[Path | None, Parameter(metavar="FILE")] = None
    without: Annotated[str | None, Parameter(metavar="NAMES")] = None
    samples: Annotated[int | None, POSITIVE] = None
    batch_size: Annotated[int | None, POSITIVE] = None
    learning_rate: Annotated[float | None, NOT_NEGATIVE] = None
    seed: Annotated[int, NOT_NEGATIVE] = 0
    max_minutes: Annotated[float | None, Parameter(validator=Number(gte=0.01))] = None
    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    execution: Literal["auto", "eager", "compiled"] = "auto"
    workers: Annotated[int, NOT_NEGATIVE] = 1
    threads: Annotated[int | None, POSITIVE] = None
    validate_every: Annotated[int, POSITIVE] = 1000
    license: str = "not stated; the terms of the training data apply"

    def __post_init__(self) -> None:
        """Takes paths as text too."""
        convert_paths(self)

    def recipe(self, stage: str | None = None) -> "AnyRecipe":
        """The recipe of a stage, or of the preset, with what this request changes in it.

        Raises:
            UsageError: There is no such recipe or augmentation, or a file is none.
        """
        from sqsam_deploy.training.recipe import read_shares, recipe, without

        usual = recipe(stage or self.preset)
        if self.without is not None:
            usual = without(usual, self.without)
        shares = read_shares(self.shares) if self.shares else usual.source_weights
        given = {
            "samples": self.samples,
            "batch_size": self.batch_size,
            "learning_rate": self.learning_rate,
        }
        changes = {name: value for name, value in given.items() if value is not None}
        changed = replace(usual.optimization, seed=self.seed, **changes)  # type: ignore[arg-type]
        # A short run warms up over the same share of its samples as the recipe's.
        share = usual.optimization.warmup_samples / usual.optimization.samples
        warmup = round(share * changed.samples)
        optimization = replace(changed, warmup_samples=warmup)
        return replace(usual, optimization=optimization, source_weights=shares)
