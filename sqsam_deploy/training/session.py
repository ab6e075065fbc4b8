"""A whole run: data, task, training, and the scores that go into the weights' metadata."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from sqsam_deploy._internal.temporary import naming
from sqsam_deploy.artifact.provenance import git_revision
from sqsam_deploy.checkpoint import Checkpoint, load_checkpoint
from sqsam_deploy.errors import UsageError
from sqsam_deploy.model.config import PRESETS
from sqsam_deploy.model.saliency import SALIENCY
from sqsam_deploy.training.distributed import Processes, wait_for_leader
from sqsam_deploy.training.evaluate import ScoreTable, evaluate_prompted, evaluate_saliency
from sqsam_deploy.training.growth import deepened, widened
from sqsam_deploy.training.log import LogRow, plot, read_rows
from sqsam_deploy.training.prepared import PreparedData, prepare
from sqsam_deploy.training.prompted import DeepeningTask, PromptedTask
from sqsam_deploy.training.readers import Item, find_items
from sqsam_deploy.training.recipe import AnyRecipe, SaliencyRecipe, TrainingRecipe, recipe, stages
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
        validation_share: Share of the data's groups held out; None for the recipe's.
        validation_images: Largest number of photos to validate on.
    """

    data: Path
    cache: Path
    validation_share: float | None = None
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


@dataclass(frozen=True)
class Start:
    """The start of a run.

    Attributes:
        recipe: The run; one that takes any network has the preset of the weights.
        weights: Of the run's network; None for random ones.
        grown_from: The smaller network that the weights were made from, if they were.
    """

    recipe: AnyRecipe
    weights: dict[str, torch.Tensor] | None = None
    grown_from: Checkpoint | None = None


def open_task(start: Start, options: DataOptions, processes: Processes, reports: Reports) -> Task:
    """Prepares the photos (in the leading process; the others wait) and splits them.

    Raises:
        DataError: No photo is usable, or too few for a validation split.
    """
    recipe, items = start.recipe, find_items(options.data)
    with wait_for_leader(processes), naming(options.cache):
        data = prepare(items, options.cache, recipe.photo_side, reports.preparing)
    reports.prepared(data)
    share, images = options.validation_share, options.validation_images
    share = recipe.validation_share if share is None else share
    if isinstance(recipe, SaliencyRecipe):
        return SaliencyTask(recipe, data, share, images)
    if recipe.growth == "deepened" and start.grown_from is not None:
        return DeepeningTask(recipe, data, share, images, start.grown_from)
    return PromptedTask(recipe, data, share, images)


@dataclass(frozen=True)
class Stage:
    """One of the runs that a recipe takes.

    Attributes:
        name: Of its recipe.
        output: Its folder.
        source: Weights that it starts from: a file, or bundled ones by name; None for random ones.
    """

    name: str
    output: Path
    source: Path | str | None


def plan_stages(
    name: str, output: Path, initial_weights: Path | None, grow_from: Path | None
) -> list[Stage]:
    """The runs that lead to a recipe's weights; the last one writes into `output` itself.

    Args:
        name: Of the recipe.
        output: Folder of the whole run.
        initial_weights: Weights that the last stage trains on; the others are left out.
        grow_from: Weights of an earlier stage's network; the stages up to it are left out.

    Raises:
        CheckpointError: A weights file is missing, damaged or of no known network.
        UsageError: The recipe is unknown, does not grow from that network, or needs weights and has
            none, or both are given.
    """
    plan = recipe(name)
    if initial_weights and grow_from:
        raise UsageError("--initial-weights and --grow-from exclude each other")
    source: Path | str | None = grow_from or initial_weights
    if source is None and isinstance(plan, TrainingRecipe):
        source = plan.initial_weights
        if source is None and plan.needs_weights:
            raise UsageError(
                f"recipe '{name}' trains weights on: name them, --initial-weights FILE"
            )
    if grow_from is not None:
        names = _stages_after(name, grow_from)
    else:
        names = [name] if initial_weights else stages(name)
    planned = []
    for stage in names:
        folder = output if stage == name else output / stage
        planned.append(Stage(stage, folder, source))
        source = folder / WEIGHTS_FILE
    return planned


def _stages_after(name: str, source: Path) -> list[str]:
    chain, have = stages(name), load_checkpoint(source).config.name
    before = [recipe(stage).preset for stage in chain[:-1]]
    if have not in before:
        known = f"weights of {' or '.join(dict.fromkeys(before))}" if before else "no other network"
        raise UsageError(f"{source} is of preset '{have}', and recipe '{name}' grows from {known}")
    last = max(number for number, preset in enumerate(before) if preset == have)
    return chain[last + 1 :]


def read_start(source: Path | str | None, plan: AnyRecipe) -> Start:
    """Weights of a prompted network to start from: as they are, grown, or for a saliency network.

    Args:
        source: Bundled weights by name, or a file; None for random ones.
        plan: The run that they are for.

    Raises:
        CheckpointError: The file is missing, damaged or of no known network.
        UsageError: It is of another network than the recipe takes.
    """
    if source is None:
        return Start(plan)
    checkpoint = load_checkpoint(source)
    weights, config = checkpoint.model.state_dict(), checkpoint.config
    if isinstance(plan, SaliencyRecipe):
        return Start(plan, from_prompted(weights, config, SALIENCY))
    if plan.initial_weights is not None:
        return Start(replace(plan, preset=config.name), weights)
    if plan.growth is not None:
        grow = widened if plan.growth == "widened" else deepened
        grown = grow(weights, config, PRESETS[plan.preset], plan.optimization.seed)
        return Start(plan, grown, checkpoint)
    if config.name != plan.preset:
        raise UsageError(
            f"{source} holds a network of preset '{config.name}', not '{plan.preset}': only "
            "weights of the same preset can be trained on (--grow-from takes a smaller one's)"
        )
    return Start(plan, weights)


def train(
    task: Task,
    options: RunOptions,
    processes: Processes,
    start: Start,
    reports: Reports,
) -> Trainer:
    """Trains to the end and plots the curve.

    Raises:
        UsageError: The output folder holds another run, or the options contradict each other.
        CheckpointError: The output folder's state is damaged.
    """
    trainer = Trainer(task, options, processes, start.weights, reports.row)
    with naming(options.output):
        trainer.run()
    log = options.output / LOG_FILE
    if processes.leads and log.exists():
        plot(read_rows(log), options.output / CURVE_FILE)
    return trainer


def evaluate(
    trainer: Trainer, task: Task, folder: Path, output: Path, license: str, device: torch.device
) -> ScoreTable:
    """Scores the averaged weights and writes them into the weights' metadata.

    Raises:
        DataError: The evaluation data is missing or damaged.
    """
    # The scores are those of the file, which is float16.
    model = trainer.averaged_model().half().float()
    if isinstance(task.recipe, SaliencyRecipe):
        without = [source for source, share in task.recipe.source_weights if share == 0]
        scores = evaluate_saliency(model, SALIENCY, folder, device, without)
    else:
        scores = evaluate_prompted(model, PRESETS[task.recipe.preset], folder, device)
    metadata = {
        **trainer.metadata(),
        "scores": scores,
        "evaluation_data": folder.name,
        "git_revision": git_revision() or "unknown",
        "license": license,
    }
    save_weights(output / WEIGHTS_FILE, trainer.averaged_weights(), metadata)
    (output / "scores.json").write_text(json.dumps(scores, indent=2) + "\n", encoding="utf-8")
    return scores
