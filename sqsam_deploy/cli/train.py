"""`sqsam-train`: your photos on trained weights, or the paper's recipe from nothing."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from sqsam_deploy._internal.staging import require_writable
from sqsam_deploy._internal.terminal import note
from sqsam_deploy.cli._app import loading, make_app, run
from sqsam_deploy.cli._output import answer
from sqsam_deploy.training.request import TrainRequest

if TYPE_CHECKING:
    from sqsam_deploy.training.distributed import Processes
    from sqsam_deploy.training.session import Stage
    from sqsam_deploy.training.trainer import RunOptions

app = make_app("sqsam-train", "--data DIR|FILE --output DIR [OPTIONS]")


@app.default
def train(*, request: Annotated[TrainRequest, Parameter(name="*")]) -> None:
    """Train a network: trained weights on your photos, or the paper's recipe from nothing.

    Writes to the output folder: weights.safetensors (averaged weights, float16), log.csv,
    curve.png and last.pt, the state from which the same command continues; a recipe's earlier
    stages write to folders of their own in it. Start it with torchrun to use several GPUs.

    Exit codes: 0 trained, 2 wrong usage, 3 something could not be read, run or written.
    """
    for folder in (request.output, request.cache):
        require_writable(folder)
    with loading():
        import torch

        from sqsam_deploy.training.distributed import join, leave
        from sqsam_deploy.training.processor import allocator_hint
        from sqsam_deploy.training.readers import find_items
        from sqsam_deploy.training.session import plan_stages
        from sqsam_deploy.training.trainer import WEIGHTS_FILE

    starting = (request.initial_weights, request.grow_from)
    stages = plan_stages(request.preset, request.output, *starting)
    for stage in stages:
        request.recipe(stage.name)
    if request.evaluation is not None:
        find_items(request.evaluation)  # refused now, not after hours
    if request.threads is not None:
        torch.set_num_threads(request.threads)
    processes = join(request.device)
    options = _options(request, processes.device.type)
    if processes.leads and (hint := allocator_hint(processes.device.type)):
        note(hint)
    for stage in stages:
        if processes.leads and len(stages) > 1:
            note(f"{stage.name}: {stage.output}")
        evaluation = request.evaluation if stage is stages[-1] else None
        _run(stage, request, replace(options, output=stage.output), processes, evaluation)
    leave(processes)
    answer({"weights": [stage.output / WEIGHTS_FILE for stage in stages]})


def _options(request: TrainRequest, device: str) -> "RunOptions":
    from sqsam_deploy.training.processor import fastest_precision
    from sqsam_deploy.training.trainer import RunOptions

    execution = request.execution
    if execution == "auto":
        execution = "compiled" if device == "cuda" else "eager"
    precision = request.precision
    return RunOptions(
        request.output,
        precision=fastest_precision(device) if precision == "auto" else precision,
        workers=request.workers,
        execution=execution,
        max_minutes=request.max_minutes,
        validate_every=request.validate_every,
    )


def _run(
    stage: "Stage",
    request: TrainRequest,
    options: "RunOptions",
    processes: "Processes",
    evaluation: Path | None,
) -> None:
    from sqsam_deploy.cli._training_display import TrainingDisplay
    from sqsam_deploy.training.distributed import wait_for_leader
    from sqsam_deploy.training.session import DataOptions, evaluate, open_task, read_start, train

    # The leader wrote the weights of the stage before.
    with wait_for_leader(processes):
        start = read_start(stage.source, request.recipe(stage.name))
    with TrainingDisplay(start.recipe.optimization.samples, processes.leads) as display:
        data = DataOptions(request.data, request.cache)
        task = open_task(start, data, processes, display.reports)
        trainer = train(task, options, processes, start, display.reports)
    if evaluation is not None and processes.leads:
        where = (stage.output, request.license, processes.device)
        display.show_scores(evaluate(trainer, task, evaluation, *where))


def main() -> None:
    """Entry point of `sqsam-train`."""
    run(app)
