"""A plan over a dataset, in one process or several, with the same result to the last bit."""

import hashlib
import logging
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqsam_deploy._internal.workers import end_with_parent
from sqsam_deploy.datasets import Dataset, ImageRecord
from sqsam_deploy.errors import ArtifactError, SqsamError
from sqsam_deploy.evaluation.evaluator import Evaluator, ImageResult
from sqsam_deploy.evaluation.plan import EvaluationPlan
from sqsam_deploy.evaluation.results import COLUMNS
from sqsam_deploy.evaluation.resume_log import RESUME_LOG_NAME, ResumeLog
from sqsam_deploy.evaluation.segmenters import open_artifact

#: Called with the number of images that are done, each time one is.
Progress = Callable[[int], None]


@dataclass(frozen=True)
class Run:
    """The outcome of a run.

    Attributes:
        images: One result an image, in the dataset's order.
        resumed: How many of them an interrupted run had left behind.
    """

    images: tuple[ImageResult, ...]
    resumed: int

    @property
    def runtime_share(self) -> float | None:
        """Share of the evaluation's time that was spent inside the runtimes."""
        total = sum(image.seconds[0] for image in self.images)
        return sum(image.seconds[1] for image in self.images) / total if total else None


def run_plan(
    plan: EvaluationPlan,
    dataset: Dataset,
    directory: Path,
    *,
    jobs: int = 1,
    progress: Progress = lambda done: None,
) -> Run:
    """Evaluates every image of a dataset.

    The order in which processes finish does not matter: prompts belong to objects, and results
    are put back into the dataset's order. What is done is kept in `directory` until the caller
    calls `finish`, so that a run that was interrupted goes on where it stopped.

    Args:
        plan: What to evaluate.
        dataset: On what.
        directory: Where the log lies.
        jobs: Processes; each opens all artifacts.
        progress: Called with the number of images done.

    Raises:
        ArtifactError: An artifact failed, or took its process with it.
    """
    with ResumeLog(directory / RESUME_LOG_NAME, fingerprint(plan, dataset)) as log:
        results = dict(log.done)
        resumed = len(results)
        missing = [record for record in dataset if record.id not in results]
        with _results(plan, missing, jobs) as stream:
            progress(len(results))
            for result in stream:
                log.add(result)
                results[result.image] = result
                progress(len(results))
    return Run(tuple(results[record.id] for record in dataset), resumed)


def finish(directory: Path) -> None:
    """Removes the log, once the reports are written."""
    (directory / RESUME_LOG_NAME).unlink(missing_ok=True)


def fingerprint(plan: EvaluationPlan, dataset: Dataset) -> str:
    """Equal for two runs whose results must be equal."""
    digest = hashlib.sha256(repr((COLUMNS, plan.fingerprint())).encode())
    for record in dataset:
        objects = [(item.id, item.area, item.box) for item in record.objects]
        digest.update(repr((record.id, str(record.path), objects)).encode())
    return digest.hexdigest()


@contextmanager
def _results(
    plan: EvaluationPlan, records: Sequence[ImageRecord], jobs: int
) -> Iterator[Iterator[ImageResult]]:
    if not records:
        yield iter(())
    elif jobs == 1:
        yield map(_open(plan).evaluate, records)
    else:
        # A forked copy of a process that has run torch or XNNPACK lacks their threads.
        context = multiprocessing.get_context("spawn")
        pool = ProcessPoolExecutor(min(jobs, len(records)), context, _start_worker, (plan,))
        try:
            yield _named_failure(pool.map(_evaluate, records))
        finally:
            pool.shutdown(cancel_futures=True)


def _named_failure(results: Iterator[ImageResult]) -> Iterator[ImageResult]:
    try:
        yield from results
    except BrokenProcessPool:
        raise ArtifactError(
            "a worker process ended: an artifact crashed its runtime, or memory ran out; "
            "run again with --jobs 1 to see more"
        ) from None


def _open(plan: EvaluationPlan) -> Evaluator:
    sessions = {a.name: open_artifact(a, plan) for a in plan.artifacts}
    return Evaluator(plan, sessions)


#: Set once in each worker process; an error waits here until there is somebody to raise it to.
_worker: Evaluator | SqsamError


def _start_worker(plan: EvaluationPlan) -> None:
    global _worker
    end_with_parent()
    import torch

    # Libraries warn at import, once a process; the command has silenced its own already.
    logging.disable(logging.WARNING)
    torch.set_num_threads(plan.threads)
    try:
        _worker = _open(plan)
    except SqsamError as error:
        _worker = error


def _evaluate(record: ImageRecord) -> ImageResult:
    if isinstance(_worker, SqsamError):
        raise _worker
    return _worker.evaluate(record)
