"""One run: fresh processes, turns, and everything that is known when the last one has ended."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from sqsam_deploy._internal.progress import SilentSteps, Steps
from sqsam_deploy.benchmark.channel import Worker
from sqsam_deploy.benchmark.environment import capture_environment, cpu_device, load_average
from sqsam_deploy.benchmark.jobs import Job, Loaded
from sqsam_deploy.benchmark.noise import CpuShares, CpuWatch, judge
from sqsam_deploy.benchmark.profile import can_profile
from sqsam_deploy.benchmark.ratios import find_ratios
from sqsam_deploy.benchmark.result import (
    BenchmarkResult,
    Environment,
    Measurement,
    Method,
    NotMeasured,
    Setup,
    Stage,
    Timing,
)
from sqsam_deploy.benchmark.resultfile import now
from sqsam_deploy.benchmark.statistics import summarize
from sqsam_deploy.benchmark.subjects import Target, check_names
from sqsam_deploy.benchmark.tables import setup_text
from sqsam_deploy.errors import ArtifactError
from sqsam_deploy.runtimes.profiling import Profile
from sqsam_deploy.version import __version__

#: Inferences before the steady state: memory is planned, caches and branch predictors fill.
WARM_UP = 3
#: The first inference of a turn runs on caches that another subject left, and is not recorded.
DISCARDED = 1
#: At most this many inferences a turn, however short.
LONGEST_TURN = 50


@dataclass(frozen=True)
class Plan:
    """How much is measured.

    Attributes:
        threads: Thread counts, each measured in processes of its own.
        rounds: Turns of every subject.
        processes: Fresh processes that load time and first inference come from.
        turn_ms: How long a turn should last at least.
        photos: Photos of the bundled sample.
        profiled: Inferences of a profile; 0 takes none.
    """

    threads: tuple[int, ...]
    rounds: int = 12
    processes: int = 3
    turn_ms: float = 150.0
    photos: int = 8
    profiled: int = 10


@dataclass
class _Running:
    """A subject whose process is alive."""

    target: Target
    worker: Worker
    starts: list[Loaded]
    warm_up: tuple[float, ...] = ()
    per_turn: int = 1
    rounds: dict[Stage, list[tuple[float, ...]]] = field(default_factory=dict)
    processor_seconds: float = 0.0


def step_count(targets: Sequence[Target], plan: Plan) -> int:
    """Steps that `measure` reports."""
    starts = sum(len(plan.threads) - 1 + _processes(target, plan) for target in targets)
    profiles = len(targets) if plan.profiled else 0
    return starts + plan.rounds * len(plan.threads) + profiles


def _processes(target: Target, plan: Plan) -> int:
    """Fresh processes for load times, which torch and the peak kernels have none of."""
    return plan.processes if target.subject.role in ("artifact", "peer") else 1


def measure(targets: Sequence[Target], plan: Plan, steps: Steps | None = None) -> BenchmarkResult:
    """Measures every target at every thread count.

    A target that fails is listed as not measured, with its error; the others go on.

    Raises:
        ArtifactError: Every one of them failed.
        UsageError: Two targets share a name.
    """
    check_names(targets)
    run = _Run(plan, steps or SilentSteps())
    for threads in plan.threads:
        run.measure_at(targets, threads)
    if not run.measurements:
        raise ArtifactError(f"nothing could be measured: {run.failures[0].reason}")
    return run.result()


class _Run:
    """What is collected while the subjects take turns."""

    def __init__(self, plan: Plan, steps: Steps) -> None:
        self._plan, self._steps = plan, steps
        self._environment = capture_environment()
        self._shares: list[CpuShares] = []
        self.measurements: list[Measurement] = []
        self.failures: list[NotMeasured] = []

    def measure_at(self, targets: Sequence[Target], threads: int) -> None:
        running: list[_Running] = []
        try:
            for target in targets:
                self._start(target, threads, running)
            for index in range(self._plan.rounds):
                self._steps.begin(f"threads {threads}: round {index + 1} of {self._plan.rounds}")
                self._round(index, running)
            self.measurements += [self._finish(item) for item in running]
        finally:
            for item in running:
                item.worker.close()

    def _start(self, target: Target, threads: int, running: list[_Running]) -> None:
        """Starts a target in as many processes as load times are wanted; the last one stays.

        Load time hardly depends on the threads, so it is repeated at the last count only.
        """
        last = threads == self._plan.threads[-1]
        job = Job(
            kind=target.kind,
            target=target.target,
            metadata=target.metadata,
            threads=threads,
            photos=self._plan.photos,
        )
        starts = []
        try:
            for _ in range(_processes(target, self._plan) - 1 if last else 0):
                self._steps.begin(f"loading {target.subject.name}")
                with Worker(job) as worker:
                    starts.append(worker.loaded)
            self._steps.begin(f"loading {target.subject.name}")
            worker = Worker(job)
            item = _Running(target, worker, [*starts, worker.loaded])
            running.append(item)
            self._warm_up(item)
        except ArtifactError as error:
            self._drop(target, threads, running, error)

    def _warm_up(self, item: _Running) -> None:
        samples = item.worker.run(WARM_UP)
        item.warm_up = samples.stages["inference"]
        item.processor_seconds = samples.processor_seconds
        item.per_turn = turn_length(min(item.warm_up), self._plan.turn_ms)

    def _round(self, index: int, running: list[_Running]) -> None:
        """Gives every subject its turn, in another order each round."""
        watch, own = CpuWatch(), 0.0
        for item in shuffled(running, index):
            try:
                own += self._turn(item)
            except ArtifactError as error:
                self._drop(item.target, item.worker.job.threads, running, error)
        shares = watch.shares(own)
        if shares is not None:
            self._shares.append(shares)

    def _turn(self, item: _Running) -> float:
        """Records one turn and returns the processor seconds it took."""
        samples = item.worker.run(DISCARDED + item.per_turn)
        for stage, values in samples.stages.items():
            item.rounds.setdefault(stage, []).append(values[DISCARDED:])
        spent = samples.processor_seconds - item.processor_seconds
        item.processor_seconds = samples.processor_seconds
        return spent

    def _drop(
        self, target: Target, threads: int, running: list[_Running], error: ArtifactError
    ) -> None:
        for item in [item for item in running if item.target is target]:
            item.worker.close()
            running.remove(item)
        setup = setup_text(Setup(threads=threads))
        # Result files are published: they name files, not folders of this machine.
        reason = str(error).replace(target.target, target.subject.name)
        self.failures.append(NotMeasured(subject=target.subject.name, setup=setup, reason=reason))

    def _finish(self, item: _Running) -> Measurement:
        memory = item.worker.memory()
        network = item.target.kind == "network"
        return Measurement(
            subject=item.target.subject,
            setup=Setup(threads=item.worker.job.threads),
            # Drawing random weights is not loading.
            load=() if network else tuple(start.load_ms for start in item.starts),
            first=tuple(start.first_ms for start in item.starts),
            warm_up=item.warm_up,
            stages={stage: Timing(rounds=tuple(r)) for stage, r in item.rounds.items()},
            memory=memory,
            profile=self._profile(item),
        )

    def _profile(self, item: _Running) -> Profile | None:
        """Taken at the last thread count, when no more samples are wanted of the process."""
        job = item.worker.job
        last = job.threads == self._plan.threads[-1]
        if not last or item.target.subject.role == "peak" or not can_profile(job):
            return None
        if not self._plan.profiled:
            return None
        self._steps.begin(f"profiling {item.target.subject.name}")
        return item.worker.profile(self._plan.profiled)

    def result(self) -> BenchmarkResult:
        environment = self._environment.model_copy(
            update={
                "load_after": load_average(),
                "foreign_cpu": tuple(round(share.foreign, 4) for share in self._shares),
                "stolen_cpu": tuple(round(share.stolen, 4) for share in self._shares),
            }
        )
        measurements = concluded(self.measurements, environment)
        return BenchmarkResult(
            created=now(),
            tool=f"sqsam-bench {__version__}",
            device=cpu_device(),
            environment=environment,
            method=self._method(),
            measurements=measurements,
            ratios=find_ratios(measurements),
            not_measured=tuple(self.failures),
        )

    def _method(self) -> Method:
        from sqsam_deploy.benchmark.photos import load_photos

        sizes = [photo.image.shape for photo in load_photos(self._plan.photos)]
        return Method(
            rounds=self._plan.rounds,
            processes=self._plan.processes,
            turn_ms=self._plan.turn_ms,
            discarded=DISCARDED,
            images=len(sizes),
            image_sizes=tuple((width, height) for height, width, _ in sizes),
            interleaved=True,
        )


def concluded(
    measurements: Iterable[Measurement], environment: Environment
) -> tuple[Measurement, ...]:
    """Measurements with what follows from their samples: summaries and the verdict on noise."""
    return tuple(_concluded(item, environment) for item in measurements)


def _concluded(item: Measurement, environment: Environment) -> Measurement:
    stages = {
        stage: Timing(rounds=timing.rounds, summary=summarize(timing.rounds))
        for stage, timing in item.stages.items()
    }
    return item.model_copy(update={"stages": stages, "noise": judge(item, environment)})


def turn_length(inference_ms: float, turn_ms: float) -> int:
    """Recorded inferences of a turn that lasts about `turn_ms`: at least 2, at most 50."""
    return min(max(math.ceil(turn_ms / max(inference_ms, 1e-3)), 2), LONGEST_TURN)


def shuffled(running: Sequence[_Running], index: int) -> list[_Running]:
    """The subjects in the order of round `index`: random, and the same in every run."""
    order = np.random.default_rng(index).permutation(len(running))
    return [running[position] for position in order]
