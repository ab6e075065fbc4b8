"""`sqsam-train`: the paper's recipe on a folder of photos and masks."""

from pathlib import Path
from typing import Annotated, Optional

import typer

from sqsam_deploy.cli._app import run


def train(
    data: Annotated[Path, typer.Option(help="Folder of photos and masks.")],
    output: Annotated[Path, typer.Option(help="Folder of the run.")],
    preset: Annotated[str, typer.Option(help="Network and recipe.")] = "nano",
    cache: Annotated[Path, typer.Option(help="Folder for the prepared photos.")] = Path(
        "runs/prepared"
    ),
    samples: Annotated[Optional[int], typer.Option(help="Samples.")] = None,
    max_minutes: Annotated[Optional[float], typer.Option(help="Time budget.")] = None,
    threads: Annotated[int, typer.Option()] = 2,
    workers: Annotated[int, typer.Option()] = 1,
    validate_every: Annotated[int, typer.Option()] = 500,
) -> None:
    """Train."""
    from dataclasses import replace
    import torch
    from sqsam_deploy.training.distributed import join
    from sqsam_deploy.training.prepared import prepare
    from sqsam_deploy.training.readers import find_items
    from sqsam_deploy.training.recipe import recipe
    from sqsam_deploy.training.trainer import RunOptions, Trainer

    torch.set_num_threads(threads)
    plan = recipe(preset)
    if samples:
        plan = replace(plan, samples=samples)
    prepared = prepare(find_items(data), cache, 512)
    options = RunOptions(
        output, max_minutes=max_minutes, workers=workers, validate_every=validate_every
    )
    trainer = Trainer(plan, prepared, options, join("cpu"), lambda row: print(row, flush=True))
    print(trainer.run())


def main() -> None:
    """Entry point."""
    run(train)
