"""The request of a training run, whose fields are the options of `sqsam-train`."""

from dataclasses import KW_ONLY, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from sqsam_deploy._internal.requests import NOT_NEGATIVE, POSITIVE, convert_paths

if TYPE_CHECKING:
    from sqsam_deploy.training.recipe import Recipe, SaliencyRecipe


@dataclass(frozen=True)
class TrainRequest:
    """Which network to train, on which data, and how.

    Attributes:
        data: Photos and masks: a folder with index.json, or SA-1B's layout.
        output: Folder of the run. A run that was interrupted continues from here.
        preset: Network and recipe: nano, nano-refine, paper or saliency.
        evaluation: Photos and masks on which the finished weights are scored.
        cache: Folder in which decoded photos are kept between runs.
        initial_weights: Checkpoint of a prompted network to start from.
        samples: Number of samples of the whole run. Without it, the recipe's.
        batch_size: Number of samples of one step, over all processes. Without it, the recipe's.
        learning_rate: Peak learning rate. Without it, the recipe's.
        seed: Seed of the weights and samples.
        max_minutes: Time budget in minutes. The learning rate has decayed when it is used up.
        device: Device to compute on. With auto, CUDA where there is a GPU.
        precision: Precision of the arithmetic; bf16 is mixed precision (autocast).
        execution: Whether torch compiles the network. With auto, it does on CUDA only, because
            compiling does not pay on a CPU.
        workers: Number of processes that draw samples, for each training process.
        threads: Number of CPU threads. Without it, torch's default.
        validate_every: Number of steps between two validations.
        license: License of the weights, for their metadata.
    """

    data: Annotated[Path, Parameter(metavar="DIR")]
    output: Annotated[Path, Parameter(metavar="DIR")]
    _: KW_ONLY
    preset: str = "nano"
    evaluation: Annotated[Path | None, Parameter(metavar="DIR")] = None
    cache: Annotated[Path, Parameter(metavar="DIR")] = Path("runs/prepared")
    initial_weights: Annotated[Path | None, Parameter(metavar="FILE")] = None
    samples: Annotated[int | None, POSITIVE] = None
    batch_size: Annotated[int | None, POSITIVE] = None
    learning_rate: Annotated[float | None, NOT_NEGATIVE] = None
    seed: Annotated[int, NOT_NEGATIVE] = 0
    max_minutes: Annotated[float | None, Parameter(validator=Number(gte=0.01))] = None
    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["bf16", "fp32"] = "bf16"
    execution: Literal["auto", "eager", "compiled"] = "auto"
    workers: Annotated[int, NOT_NEGATIVE] = 1
    threads: Annotated[int | None, POSITIVE] = None
    validate_every: Annotated[int, POSITIVE] = 1000
    license: str = "not stated; the terms of the training data apply"

    def __post_init__(self) -> None:
        """Takes paths as text too."""
        convert_paths(self)

    def recipe(self) -> "Recipe | SaliencyRecipe":
        """The preset's recipe with what this request changes in it.

        Raises:
            UsageError: There is no such preset, or its recipe does not allow the change.
        """
        from sqsam_deploy.training.recipe import recipe

        usual = recipe(self.preset)
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
        return replace(usual, optimization=replace(changed, warmup_samples=warmup))
