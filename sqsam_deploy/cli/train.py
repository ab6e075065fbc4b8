"""`sqsam-train`: the paper's recipe on a folder of photos and masks."""

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from sqsam_deploy.cli._app import loading, make_app, run
from sqsam_deploy.training.request import TrainRequest

if TYPE_CHECKING:
    from sqsam_deploy.training.trainer import Execution

app = make_app("sqsam-train", "--data DIR --output DIR [OPTIONS]")


@app.default
def train(*, request: Annotated[TrainRequest, Parameter(name="*")]) -> None:
    """Train a network by the paper's recipe.

    Writes to the output folder: weights.safetensors (averaged weights, float16), log.csv,
    curve.png and last.pt, the state from which the same command continues. Start it with torchrun
    to use several GPUs.

    Exit codes: 0 trained, 2 wrong usage, 3 something could not be read, run or written.
    """
    with loading():
        import torch

        from sqsam_deploy.cli._training_display import TrainingDisplay
        from sqsam_deploy.training.distributed import join, leave
        from sqsam_deploy.training.session import (
            DataOptions,
            evaluate,
            open_task,
            read_initial_weights,
            train,
        )
        from sqsam_deploy.training.trainer import RunOptions

    plan = request.recipe()
    if request.threads is not None:
        torch.set_num_threads(request.threads)
    start = request.initial_weights
    initial = None if start is None else read_initial_weights(start, plan)
    processes = join(request.device)
    options = RunOptions(
        request.output,
        precision=request.precision,
        workers=request.workers,
        execution=_execution(request, processes.device.type),
        max_minutes=request.max_minutes,
        validate_every=request.validate_every,
    )
    with TrainingDisplay(plan.optimization.samples, processes.leads) as display:
        data = DataOptions(request.data, request.cache)
        task = open_task(plan, data, processes, display.reports)
        trainer = train(task, options, processes, initial, display.reports)
    held_out = request.evaluation
    if held_out is not None and processes.leads:
        where = (request.output, request.license, processes.device)
        display.show_scores(evaluate(trainer, task, held_out, *where))
    leave(processes)


def _execution(request: TrainRequest, device: str) -> "Execution":
    if request.execution == "auto":
        return "compiled" if device == "cuda" else "eager"
    return request.execution


def main() -> None:
    """Entry point of `sqsam-train`."""
    run(app)
