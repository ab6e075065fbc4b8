"""A whole run: data, task, training, and the scores that go into the weights' metadata."""

import json
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import torch

from sqsam_deploy.errors import UsageError
from sqsam_deploy.model.config import PRESETS
from sqsam_deploy.model.saliency import SALIENCY
from sqsam_deploy.training.distributed import Processes, wait_for_leader
from sqsam_deploy.training.evaluate import ScoreTable, evaluate_prompted, evaluate_saliency
from sqsam_deploy.training.log import LogRow, plot, read_rows
from sqsam_deploy.training.prepared import PreparedData, prepare
from sqsam_deploy.training.prompted import PromptedTask
from sqsam_deploy.training.readers import Item, find_items
from sqsam_deploy.training.recipe import Recipe, SaliencyRecipe
from sqsam_deploy.training.salient import SaliencyTask, from_prompted
from sqsam_deploy.training.state import save_weights
from sqsam_deploy.training.task import Task
from sqsam_deploy.training.trainer import LOG_FILE, WEIGHTS_FILE, RunOptions, Trainer

CURVE_FILE = "curve.png"


@dataclass(frozen=True)
class DataOptions:
    """Where the photos are.

    Args:
        data: Folder of photos and masks.
        cache: Folder for prepared photos.
        validation_share: Share of the data's groups held out.
        validation_images: Largest number of photos to validate on.
    """

    data: Path
    cache: Path
    validation_share: float = 0.04
    validation_images: int = 120


@dataclass(frozen=True)
class Reports:
    """Where a run shows how it goes.

    Attributes:
        preparing: Wraps the photos while they are prepared.
        prepared: Called with the data once it is ready.
        row: Called with every row of the log.
    """

    preparing: Callable[[list[Item]], Iterable[Item]] = iter
    prepared: Callable[[PreparedData], None] = lambda data: None
    row: Callable[[LogRow], None] = lambda row: None


def open_task(
    recipe: Recipe | SaliencyRecipe, options: DataOptions, processes: Processes, reports: Reports
) -> Task:
    """Prepares the photos (in the leading process; the others wait) and splits them.

    Raises:
        DataError: No photo is usable, or too few for a validation split.
    """
    items = find_items(options.data)
    with wait_for_leader(processes):
        data = prepare(items, options.cache, recipe.photo_side, reports.preparing)
    reports.prepared(data)
    share, images = options.validation_share, options.validation_images
    if isinstance(recipe, SaliencyRecipe):
        return SaliencyTask(recipe, data, share, images)
    return PromptedTask(recipe, data, share, images)


def read_initial_weights(path: Path, recipe: Recipe | SaliencyRecipe) -> dict[str, torch.Tensor]:
    """Weights of a prompted network to start from, translated for a saliency network.

    Raises:
        CheckpointError: The file is missing, damaged or of no known network.
        UsageError: It is of another prompted network.
    """
    from sqsam_deploy.checkpoint.loading import load_checkpoint

    checkpoint = load_checkpoint(path)
    weights = checkpoint.model.state_dict()
    if isinstance(recipe, SaliencyRecipe):
        return from_prompted(weights, checkpoint.config, SALIENCY)
    if checkpoint.config.name != recipe.preset:
        raise UsageError(
            f"{path} holds a network of preset '{checkpoint.config.name}', not '{recipe.preset}': "
            "only weights of the same preset can be trained on"
        )
    return weights


def train(
    task: Task,
    options: RunOptions,
    processes: Processes,
    initial_weights: dict[str, torch.Tensor] | None,
    reports: Reports,
) -> Trainer:
    """Trains to the end and plots the curve.

    Raises:
        UsageError: The output folder holds another run, or the options contradict each other.
        CheckpointError: The output folder's state is damaged.
    """
    trainer = Trainer(task, options, processes, initial_weights, reports.row)
    trainer.run()
    log = options.output / LOG_FILE
    if processes.leads and log.exists():
        plot(read_rows(log), options.output / CURVE_FILE)
    return trainer


def evaluate(
    trainer: Trainer, task: Task, folder: Path, output: Path, licence: str, device: torch.device
) -> ScoreTable:
    """Scores the averaged weights and writes them into the weights' metadata.

    Raises:
        DataError: The evaluation data is missing or damaged.
    """
    # The scores are those of the file, which is float16.
    model = trainer.averaged_model().half().float()
    if isinstance(task.recipe, SaliencyRecipe):
        scores = evaluate_saliency(model, SALIENCY, folder, device)
    else:
        scores = evaluate_prompted(model, PRESETS[task.recipe.preset], folder, device)
    metadata = {
        **trainer.metadata(),
        "scores": scores,
        "evaluation_data": folder.name,
        "git_revision": git_revision(),
        "licence": licence,
    }
    save_weights(output / WEIGHTS_FILE, trainer.averaged_weights(), metadata)
    (output / "scores.json").write_text(json.dumps(scores, indent=2) + "\n", encoding="utf-8")
    return scores


def git_revision() -> str:
    """The commit of the checkout this package runs from, or "unknown" for an installed copy."""
    try:
        # An installed copy may lie inside the checkout of some other project.
        _git("ls-files", "--error-unmatch", Path(__file__).name)
        return _git("rev-parse", "HEAD")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(Path(__file__).parent), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
