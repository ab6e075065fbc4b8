"""A plan over a dataset, on any engine, with the same result to the last bit."""

import hashlib
import logging
import multiprocessing
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from sqsam_deploy._internal.workers import end_with_parent
from sqsam_deploy.datasets import Dataset, ImageRecord
from sqsam_deploy.errors import ArtifactError, SqsamError
from sqsam_deploy.evaluation.answers import AnswerCache
from sqsam_deploy.evaluation.evaluator import Evaluator, ImageResult, Task
from sqsam_deploy.evaluation.plan import EvaluationPlan
from sqsam_deploy.evaluation.results import COLUMNS
from sqsam_deploy.evaluation.resume_log import RESUME_LOG_NAME, ResumeLog
from sqsam_deploy.evaluation.segmenters import open_artifact

#: Images that wait for each process, so that one with many objects holds up no other.
_AHEAD = 8

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


class Engine(Protocol):
    """Evaluates images wherever it has processors."""

    def results(
        self, plan: EvaluationPlan, tasks: Iterable[Task], count: int
    ) -> AbstractContextManager[Iterator[ImageResult]]:
        """One result a task, in any order; what still runs when the block ends is given up.

        Args:
            plan: What to evaluate.
            tasks: Read as they are needed.
            count: How many there are.
        """


@dataclass(frozen=True)
class Processes:
    """Processes of this machine; one is this very process.

    Attributes:
        jobs: How many; each opens all artifacts.
    """

    jobs: int = 1

    @contextmanager
    def results(
        self, plan: EvaluationPlan, tasks: Iterable[Task], count: int
    ) -> Iterator[Iterator[ImageResult]]:
        """See `Engine`."""
        if not count:
            yield iter(())
        elif self.jobs == 1:
            yield map(open_evaluator(plan).evaluate, tasks)
        else:
            # A forked copy of a process that has run torch or XNNPACK lacks their threads.
            context = multiprocessing.get_context("spawn")
            jobs = min(self.jobs, count)
            pool = ProcessPoolExecutor(jobs, context, start_worker, (plan,))
            try:
                yield _named_failure(_submitted(pool, tasks, jobs * _AHEAD))
            finally:
                pool.shutdown(cancel_futures=True)


def run_plan(
    plan: EvaluationPlan,
    dataset: Dataset,
    directory: Path,
    *,
    engine: Engine | None = None,
    cache: Path | None = None,
    enough: Callable[[ImageResult], bool] = lambda result: False,
    progress: Progress = lambda done: None,
) -> Run:
    """Evaluates the images of a dataset.

    The order in which images get done does not matter: prompts belong to objects, and results
    are put back into the dataset's order. What is done is kept in `directory` until the caller
    calls `finish`, so that a run that was interrupted goes on where it stopped.

    Args:
        plan: What to evaluate.
        dataset: On what.
        directory: Where the log lies.
        engine: Where to evaluate; None is this process.
        cache: Directory that keeps the answers of float artifacts for later runs, or None.
        enough: Told each result in the dataset's order; the run ends with the first for which it
            returns True, and has no result beyond it.
        progress: Called with the number of images done.

    Raises:
        ArtifactError: An artifact failed, or took its process with it.
        DataError: The answers in `cache` cannot be read or written.
    """
    kept = AnswerCache(cache, plan) if cache else None
    with (
        ResumeLog(directory / RESUME_LOG_NAME, fingerprint(plan, dataset)) as log,
        kept or nullcontext(),
    ):
        results = dict(log.done)
        resumed = len(results)
        whole = _Prefix(dataset, results, enough)
        missing = [] if whole.advance() else [r for r in dataset if r.id not in results]
        records = {record.id: record for record in missing}
        tasks = (_task(record, kept) for record in missing)
        with (engine or Processes()).results(plan, tasks, len(missing)) as stream:
            progress(len(results))
            for result in stream:
                if kept:
                    kept.keep(records[result.image], result.answers)
                result = replace(result, answers={})
                log.add(result)
                results[result.image] = result
                progress(len(results))
                if whole.advance():
                    break
    return Run(whole.results(), resumed)


def _task(record: ImageRecord, cache: AnswerCache | None) -> Task:
    return Task(record, cache.wanted, cache.find(record)) if cache else Task(record)


class _Prefix:
    """The images from the first on that are done, which alone decide whether they are enough."""

    def __init__(
        self,
        dataset: Dataset,
        results: Mapping[str, ImageResult],
        enough: Callable[[ImageResult], bool],
    ) -> None:
        self._dataset, self._results, self._enough = dataset, results, enough
        self._count = 0

    def advance(self) -> bool:
        """Looks at what was done since; whether the run is over."""
        while self._count < len(self._dataset):
            result = self._results.get(self._dataset.images[self._count].id)
            if result is None:
                return False
            self._count += 1
            if self._enough(result):
                return True
        return True

    def results(self) -> tuple[ImageResult, ...]:
        """In the dataset's order."""
        return tuple(self._results[record.id] for record in self._dataset.images[: self._count])


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


def _submitted(
    pool: ProcessPoolExecutor, tasks: Iterable[Task], ahead: int
) -> Iterator[ImageResult]:
    waiting: deque[Future[ImageResult]] = deque()
    for task in tasks:
        waiting.append(pool.submit(evaluate_here, task))
        if len(waiting) >= ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _named_failure(results: Iterator[ImageResult]) -> Iterator[ImageResult]:
    try:
        yield from results
    except BrokenProcessPool:
        raise ArtifactError(
            "a worker process ended: an artifact crashed its runtime, or memory ran out; "
            "run again with --jobs 1 to see more"
        ) from None


def open_evaluator(plan: EvaluationPlan) -> Evaluator:
    """Opens all artifacts of a plan in this process.

    Raises:
        SqsamError: One cannot be opened.
    """
    sessions = {a.name: open_artifact(a, plan) for a in plan.artifacts}
    return Evaluator(plan, sessions)


#: Set once in each worker process; an error waits here until there is somebody to raise it to.
_worker: Evaluator | SqsamError


def start_worker(plan: EvaluationPlan) -> None:
    """Makes this process, which does nothing else, one that evaluates images of a plan."""
    global _worker
    end_with_parent()
    import torch

    # Libraries warn at import, once a process; the command has silenced its own already.
    logging.disable(logging.WARNING)
    torch.set_num_threads(plan.threads)
    try:
        _worker = open_evaluator(plan)
    except SqsamError as error:
        _worker = error


def evaluate_here(task: Task) -> ImageResult:
    """One image, in a process that `start_worker` prepared.

    Raises:
        SqsamError: An artifact cannot be opened, or failed.
    """
    if isinstance(_worker, SqsamError):
        raise _worker
    return _worker.evaluate(task)
