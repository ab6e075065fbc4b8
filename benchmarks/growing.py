"""A widened network against one that was trained from random weights for the same time.

    python benchmarks/growing.py grown DATA/train DATA/eval runs/grown --small 20000 --samples 13000
    python benchmarks/growing.py scratch DATA/train DATA/eval runs/scratch --samples 20000

`grown` trains `nano` at half its widths, widens it into `nano` and trains that on; `scratch` trains
`nano` alone, with the recipe `nano` in both. Both print the processor time that they took, which
does not depend on what else the machine does: choose the samples so that it is the same.
"""

import argparse
import time
from dataclasses import replace
from pathlib import Path

import torch

from sqsam_deploy.model.config import NANO, PRESETS, ModelConfig
from sqsam_deploy.training.distributed import join
from sqsam_deploy.training.evaluate import evaluate_prompted
from sqsam_deploy.training.growth import widened
from sqsam_deploy.training.processor import fastest_precision
from sqsam_deploy.training.recipe import TrainingRecipe, recipe
from sqsam_deploy.training.session import DataOptions, Reports, Start, open_task, train
from sqsam_deploy.training.trainer import RunOptions, Trainer

HALF = replace(NANO, name="half-nano", widths=tuple(width // 2 for width in NANO.widths))


def main() -> None:
    """Trains one of the two and prints its scores."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("way", choices=["grown", "scratch"])
    parser.add_argument("data", type=Path)
    parser.add_argument("evaluation", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--small", type=int, default=20_000, help="samples of the half network")
    parser.add_argument("--samples", type=int, default=20_000, help="samples of nano")
    parser.add_argument("--rate", type=float, default=1e-3, help="of nano after widening")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    # A recipe names its network.
    PRESETS[HALF.name] = HALF
    if options.way == "grown":
        small, before = run(options, Start(plan(HALF, options.small)), "small")
        recipe_on = plan(NANO, options.samples, options.rate)
        start = Start(recipe_on, widened(small.averaged_weights(), HALF, NANO, seed=0))
    else:
        before = 0.0
        start = Start(plan(NANO, options.samples))
    trainer, minutes = run(options, start, "nano")
    device = torch.device("cpu")
    scores = evaluate_prompted(trainer.averaged_model(), NANO, options.evaluation, device)["all"]
    spent = f"{before:.1f} + {minutes:.1f} minutes of a core"
    print(f"{options.way}: {trainer.step} steps of nano, {spent}")
    print(scores)


def plan(config: ModelConfig, samples: int, rate: float | None = None) -> TrainingRecipe:
    """The recipe `nano` for a network, with another number of samples and another rate."""
    usual = recipe("nano")
    assert isinstance(usual, TrainingRecipe)
    optimization = replace(usual.optimization, samples=samples)
    if rate is not None:
        optimization = replace(optimization, learning_rate=rate)
    return replace(usual, preset=config.name, optimization=optimization)


def run(options: argparse.Namespace, start: Start, name: str) -> tuple[Trainer, float]:
    """One run, with its log and weights in a folder of its own, and its processor minutes."""
    processes, output = join("cpu"), options.output / name
    data = DataOptions(options.data, options.output.parent / "prepared")
    run_options = RunOptions(output, precision=fastest_precision("cpu"), workers=0)
    task = open_task(start, data, processes, Reports())
    began = time.process_time()
    trainer = train(task, run_options, processes, start, Reports())
    return trainer, (time.process_time() - began) / 60


if __name__ == "__main__":
    main()
