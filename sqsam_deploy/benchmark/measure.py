"""One run: fresh processes, turns, and everything that is known when the last one has ended.

The processes of one subject differ from each other (where memory lies, which core they began on)
by more than their own samples show. So every subject is started several times, all subjects
together each time, and takes its share of the rounds there.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from sqsam_deploy._internal.progress import SilentSteps, Steps
from sqsam_deploy.benchmark.channel import Worker
from sqsam_deploy.benchmark.environment import capture_environment, cpu_device, load_average
from sqsam_deploy.benchmark.jobs import Job, Loaded
from sqsam_deploy.benchmark.noise import CpuShares, CpuWatch, concluded
from sqsam_deploy.benchmark.profile import can_profile
from sqsam_deploy.benchmark.ratios import find_ratios
from sqsam_deploy.benchmark.result import (
    BenchmarkResult,
    Measurement,
    Memory,
    Method,
    NotMeasured,
    Setup,
    Stage,
    Timing,
)
from sqsam_deploy.benchmark.resultfile import now
from sqsam_deploy.benchmark.subjects import RunnableSubject, check_names
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
class MeasurementPlan:
    """How much is measured.

    Attributes:
        threads: Thread counts, each measured in processes of its own.
        rounds: Turns of every subject, over all its processes.
        processes: Fresh processes of every subject, one after another.
        turn_ms: How long a turn should last at least.
        photos: Photos of the bundled sample.
        profiled: Inferences of a profile; 0 takes none.
    """

    threads: tuple[int, ...]
    rounds: int = 12
    processes: int = 4
    turn_ms: float = 150.0
    photos: int = 8
    profiled: int = 10


@dataclass
class _Subject:
    """A subject at one number of threads, and what its processes have given so far."""

    target: RunnableSubject
    threads: int
    worker: Worker | None = None
    starts: list[Loaded] = field(default_factory=list)
    warm_up: tuple[float, ...] = ()
    per_turn: int = 0
    rounds: dict[Stage, list[tuple[float, ...]]] = field(default_factory=dict)
    processes: list[int] = field(default_factory=list)
    processor_seconds: float = 0.0
    memory: list[Memory] = field(default_factory=list)
    profile: Profile | None = None

    @property
    def process(self) -> Worker:
        """Its process that is alive."""
        assert self.worker is not None
        return self.worker

    def close(self) -> None:
        """Ends its process, if one is alive."""
        if self.worker is not None:
            self.worker.close()
            self.worker = None


def step_count(targets: Sequence[RunnableSubject], plan: MeasurementPlan) -> int:
    """Steps that `measure` reports."""
    profiles = len(targets) if plan.profiled else 0
    rounds = sum(_shares(plan.rounds, plan.processes))
    return len(plan.threads) * (plan.processes * len(targets) + rounds) + profiles


def _shares(rounds: int, processes: int) -> list[int]:
    """Rounds of each process; at least one."""
    whole, left = divmod(rounds, processes)
    return [max(whole + (index < left), 1) for index in range(processes)]


def measure(
    targets: Sequence[RunnableSubject], plan: MeasurementPlan, steps: Steps | None = None
) -> BenchmarkResult:
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
    """The samples that are collected while the subjects take turns."""

    def __init__(self, plan: MeasurementPlan, steps: Steps) -> None:
        self._plan, self._steps = plan, steps
        self._environment = capture_environment()
        self._shares: list[CpuShares] = []
        self.measurements: list[Measurement] = []
        self.failures: list[NotMeasured] = []

    def measure_at(self, targets: Sequence[RunnableSubject], threads: int) -> None:
        running = [_Subject(target, threads) for target in targets]
        for process, rounds in enumerate(_shares(self._plan.rounds, self._plan.processes)):
            try:
                self._session(running, process, rounds)
            finally:
                for item in running:
                    item.close()
        self.measurements += [_finished(item) for item in running]

    def _session(self, running: list[_Subject], process: int, rounds: int) -> None:
        """One process of every subject, all alive together."""
        self._each(running, self._start)
        for index in range(rounds):
            self._steps.begin(
                f"threads {running[0].threads if running else 0}: process {process + 1}, "
                f"round {index + 1} of {rounds}"
            )
            self._round(process, index, running)
        self._each(running, lambda item: item.memory.append(item.process.memory()))
        if process == self._plan.processes - 1:
            self._each(running, self._profile)

    def _each(self, running: list[_Subject], act: Callable[[_Subject], object]) -> None:
        """Does something with every subject; one that fails is dropped."""
        for item in list(running):
            try:
                act(item)
            except ArtifactError as error:
                self._drop(item, running, error)

    def _start(self, item: _Subject) -> None:
        self._steps.begin(f"loading {item.target.subject.name}")
        job = Job(
            kind=item.target.kind,
            target=item.target.target,
            metadata=item.target.metadata,
            peer=item.target.peer,
            program=item.target.program,
            threads=item.threads,
            photos=self._plan.photos,
        )
        item.worker = Worker(job)
        item.starts.append(item.worker.loaded)
        samples = item.worker.run(WARM_UP)
        item.processor_seconds = samples.processor_seconds
        if not item.per_turn:
            item.warm_up = samples.stages["inference"]
            item.per_turn = turn_length(min(item.warm_up), self._plan.turn_ms)

    def _round(self, process: int, index: int, running: list[_Subject]) -> None:
        """Gives every subject its turn, in another order each round."""
        watch, spent = CpuWatch(), [0.0]
        order = shuffled(running, 1000 * process + index)
        for item in order:
            self._each([item], lambda item: spent.append(_turn(item, process)))
        for item in [item for item in running if item.worker is None]:
            running.remove(item)
        shares = watch.shares(sum(spent))
        if shares is not None:
            self._shares.append(shares)

    def _profile(self, item: _Subject) -> None:
        """At the last number of threads, when no more samples are wanted."""
        job, plan = item.process.job, self._plan
        wanted = plan.profiled and item.threads == plan.threads[-1]
        if wanted and item.target.subject.role != "peak" and not job.program and can_profile(job):
            self._steps.begin(f"profiling {item.target.subject.name}")
            item.profile = item.process.profile(plan.profiled)

    def _drop(self, item: _Subject, running: list[_Subject], error: ArtifactError) -> None:
        item.close()
        running.remove(item)
        setup = setup_text(Setup(threads=item.threads, variant=item.target.variant))
        # Result files are published: they name files, not folders of this machine.
        target = item.target
        reason = str(error).replace(target.target, target.subject.name)
        self.failures.append(NotMeasured(subject=target.subject.name, setup=setup, reason=reason))

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


def _turn(item: _Subject, process: int) -> float:
    """Records one turn and returns the processor seconds it took."""
    samples = item.process.run(DISCARDED + item.per_turn)
    for stage, values in samples.stages.items():
        item.rounds.setdefault(stage, []).append(values[DISCARDED:])
    item.processes.append(process)
    spent = samples.processor_seconds - item.processor_seconds
    item.processor_seconds = samples.processor_seconds
    return spent


def _finished(item: _Subject) -> Measurement:
    network = item.target.kind == "network"
    processes = tuple(item.processes)
    return Measurement(
        subject=item.target.subject,
        setup=Setup(threads=item.threads, variant=item.target.variant),
        # Drawing random weights is not loading.
        load=() if network else tuple(start.load_ms for start in item.starts),
        first=tuple(start.first_ms for start in item.starts),
        warm_up=item.warm_up,
        stages={
            stage: Timing(rounds=tuple(rounds), processes=processes)
            for stage, rounds in item.rounds.items()
        },
        memory=tuple(item.memory),
        profile=item.profile,
    )


def turn_length(inference_ms: float, turn_ms: float) -> int:
    """Recorded inferences of a turn that lasts about `turn_ms`: at least 2, at most 50."""
    return min(max(math.ceil(turn_ms / max(inference_ms, 1e-3)), 2), LONGEST_TURN)


def shuffled(running: Sequence[_Subject], index: int) -> list[_Subject]:
    """The subjects in the order of round `index`: random, and the same in every run."""
    order = np.random.default_rng(index).permutation(len(running))
    return [running[position] for position in order]
