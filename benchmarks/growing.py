"""A widened network against one that was trained from random weights for the same time.

    python benchmarks/growing.py grown DATA/train DATA/eval runs/grown --small 5 --minutes 10
    python benchmarks/growing.py scratch DATA/train DATA/eval runs/scratch --minutes 15

`grown` trains `nano` at half its widths, widens it into `nano` and trains that on; `scratch` trains
`nano` alone, with the recipe `nano` in both. The rate follows the clock, so each run has decayed
when its time is up. Start both at once, with as many threads each as the machine has to spare.
"""

import argparse
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
    parser.add_argument("--small", type=float, default=5, help="minutes of the half network")
    parser.add_argument("--minutes", type=float, default=10, help="minutes of nano")
    parser.add_argument("--rate", type=float, default=1e-3, help="of nano after widening")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    # A recipe names its network.
    PRESETS[HALF.name] = HALF
    if options.way == "grown":
        small = run(options, Start(plan(HALF)), options.small, "small").averaged_weights()
        start = Start(plan(NANO, options.rate), widened(small, HALF, NANO, seed=0))
    else:
        start = Start(plan(NANO))
    trainer = run(options, start, options.minutes, "nano")
    device = torch.device("cpu")
    scores = evaluate_prompted(trainer.averaged_model(), NANO, options.evaluation, device)["all"]
    print(f"{options.way}: {trainer.step} steps of nano, {scores}")


def plan(config: ModelConfig, rate: float | None = None) -> TrainingRecipe:
    """The recipe `nano` for a network, with another rate."""
    usual = recipe("nano")
    assert isinstance(usual, TrainingRecipe)
    optimization = usual.optimization
    if rate is not None:
        optimization = replace(optimization, learning_rate=rate)
    return replace(usual, preset=config.name, optimization=optimization)


def run(options: argparse.Namespace, start: Start, minutes: float, name: str) -> Trainer:
    """One run, with its log and weights in a folder of its own."""
    processes, output = join("cpu"), options.output / name
    data = DataOptions(options.data, options.output.parent / "prepared")
    run_options = RunOptions(
        output, precision=fastest_precision("cpu"), workers=0, max_minutes=minutes
    )
    task = open_task(start, data, processes, Reports())
    return train(task, run_options, processes, start, Reports())


if __name__ == "__main__":
    main()
