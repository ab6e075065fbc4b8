"""Trains a few steps in a process of its own, for tests that kill it or start several.

Arguments: photo folder, cache folder, output folder, step at which the process kills itself (0 for
never). Prints each process's rank and the sum of its weights.
"""

import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

import torch

from sqsam_deploy.training.distributed import join, leave
from sqsam_deploy.training.log import LogRow
from sqsam_deploy.training.processor import fastest_precision
from sqsam_deploy.training.recipe import RECIPES
from sqsam_deploy.training.session import DataOptions, Reports, Start, open_task
from sqsam_deploy.training.trainer import RunOptions, Trainer

STEPS, BATCH = 4, 4


def small_run(photos: Path, cache: Path, output: Path, kill_at: int) -> None:
    def kill(row: LogRow) -> None:
        if row.step == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    torch.set_num_threads(1)
    plan = RECIPES["nano"]
    optimization = replace(plan.optimization, samples=STEPS * BATCH, batch_size=BATCH)
    plan = replace(plan, optimization=replace(optimization, warmup_samples=BATCH))
    processes = join("cpu")
    task = open_task(Start(plan), DataOptions(photos, cache, 0.01, 1), processes, Reports())
    precision = fastest_precision("cpu")
    options = RunOptions(
        output, precision, workers=0, log_every=1, save_every=2, validate_every=STEPS
    )
    trainer = Trainer(task, options, processes, report=kill)
    trainer.run()
    weights = trainer.weights().values()
    # One write, so that the lines of two processes do not mix.
    digest = sum(value.double().abs().sum().item() for value in weights)
    sys.stdout.write(f"rank {processes.rank} step {trainer.step} weights {digest!r}\n")
    sys.stdout.flush()
    leave(processes)


if __name__ == "__main__":
    small_run(*(Path(argument) for argument in sys.argv[1:4]), int(sys.argv[4]))
