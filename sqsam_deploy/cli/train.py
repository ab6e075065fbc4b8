"""`sqsam-train`: the paper's recipe on a folder of photos and masks."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from sqsam_deploy.cli._app import run, show_version

if TYPE_CHECKING:
    from sqsam_deploy.training.recipe import Recipe, SaliencyRecipe
    from sqsam_deploy.training.trainer import Execution


def train(
    data: Annotated[
        Path, typer.Option(help="Photos and masks: a folder with index.json, or SA-1B's layout.")
    ],
    output: Annotated[
        Path,
        typer.Option(help="Folder of the run; a run that was cut off goes on from here."),
    ],
    preset: Annotated[
        str, typer.Option(help="Network and recipe: nano, nano-refine, paper or saliency.")
    ] = "nano",
    evaluation: Annotated[
        Path | None,
        typer.Option(help="Photos and masks to score the finished weights on."),
    ] = None,
    cache: Annotated[Path, typer.Option(help="Where decoded photos are kept between runs.")] = Path(
        "runs/prepared"
    ),
    initial_weights: Annotated[
        Path | None,
        typer.Option(help="Checkpoint of a prompted network to start from."),
    ] = None,
    samples: Annotated[
        int | None, typer.Option(min=1, help="Samples of the whole run (default: the recipe's).")
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(
            min=1, help="Samples of one step, over all processes (default: the recipe's)."
        ),
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option(min=0, help="Peak learning rate (default: the recipe's).")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the weights and samples.")] = 0,
    max_minutes: Annotated[
        float | None,
        typer.Option(
            min=0.01, help="Time budget; the learning rate has decayed when it is used up."
        ),
    ] = None,
    device: Annotated[
        Literal["auto", "cpu", "cuda"], typer.Option(help="Where to compute; auto prefers CUDA.")
    ] = "auto",
    precision: Annotated[
        Literal["bf16", "fp32"], typer.Option(help="bf16 is mixed precision (autocast).")
    ] = "bf16",
    execution: Annotated[
        Literal["auto", "eager", "compiled"],
        typer.Option(help="auto compiles on CUDA and not on the CPU, where it does not pay."),
    ] = "auto",
    workers: Annotated[
        int, typer.Option(min=0, help="Processes that draw samples, for each training process.")
    ] = 1,
    threads: Annotated[
        int | None, typer.Option(min=1, help="CPU threads of the arithmetic (default: torch's).")
    ] = None,
    validate_every: Annotated[
        int, typer.Option(min=1, help="Steps between two validations.")
    ] = 1000,
    licence: Annotated[
        str, typer.Option(help="Licence note for the weights' metadata.")
    ] = "not stated; the terms of the training data apply",
    version: Annotated[
        bool,
        typer.Option("--version", callback=show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Trains a network by the paper's recipe.

    Writes to the output folder: weights.safetensors (averaged weights, float16), log.csv,
    curve.png and last.pt, the state that the same command resumes from. Start it with torchrun
    for several GPUs.
    """
    import torch

    from sqsam_deploy.cli._training_display import TrainingDisplay
    from sqsam_deploy.training.distributed import join, leave
    from sqsam_deploy.training.recipe import recipe
    from sqsam_deploy.training.session import (
        DataOptions,
        evaluate,
        open_task,
        read_initial_weights,
        train,
    )
    from sqsam_deploy.training.trainer import RunOptions

    plan = _override(recipe(preset), samples, batch_size, learning_rate, seed)
    if threads is not None:
        torch.set_num_threads(threads)
    initial = read_initial_weights(initial_weights, plan) if initial_weights else None
    processes = join(device)
    options = RunOptions(
        output,
        precision=precision,
        workers=workers,
        execution=_execution(execution, processes.device.type),
        max_minutes=max_minutes,
        validate_every=validate_every,
    )
    with TrainingDisplay(plan.optimization.samples, processes.leads) as display:
        task = open_task(plan, DataOptions(data, cache), processes, display.reports)
        trainer = train(task, options, processes, initial, display.reports)
    if evaluation is not None and processes.leads:
        table = evaluate(trainer, task, evaluation, output, licence, processes.device)
        display.show_scores(table)
    leave(processes)


def _override(
    plan: "Recipe | SaliencyRecipe",
    samples: int | None,
    batch_size: int | None,
    learning_rate: float | None,
    seed: int,
) -> "Recipe | SaliencyRecipe":
    from dataclasses import replace

    given = {"samples": samples, "batch_size": batch_size, "learning_rate": learning_rate}
    changes = {name: value for name, value in given.items() if value is not None}
    optimization = replace(plan.optimization, seed=seed, **changes)  # type: ignore[arg-type]
    # A short run warms up over the same share of its samples as the recipe's.
    share = plan.optimization.warmup_samples / plan.optimization.samples
    warmup = round(share * optimization.samples)
    return replace(plan, optimization=replace(optimization, warmup_samples=warmup))


def _execution(chosen: Literal["auto", "eager", "compiled"], device: str) -> "Execution":
    if chosen == "auto":
        return "compiled" if device == "cuda" else "eager"
    return chosen


def main() -> None:
    """Entry point of `sqsam-train`."""
    run(train)
