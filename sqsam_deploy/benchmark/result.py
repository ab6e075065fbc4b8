"""The result file: one format for this machine, a CUDA GPU and a phone, for Swift and Kotlin too.

A file holds what was observed (every sample, in the order of the rounds it was taken in). What
follows from it, medians with their intervals and the verdict on noise, is in `summary` and
`noise`, which a device may leave out: `sqsam-bench import` fills them in.

All times are milliseconds, all sizes bytes.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from sqsam_deploy.artifact.documents import Frozen
from sqsam_deploy.model.config import PRESETS
from sqsam_deploy.runtimes.profiling import Milliseconds, Profile

#: The newest `result_version` this package reads.
RESULT_VERSION = 2

DeviceKind = Literal["cpu", "cuda", "iphone", "android"]
#: What a time is the time of. "total" is what an app waits for: the three before in a row.
#: "first_mask" is from a photo of 12 megapixels and a prompt to the best mask at the network's
#: resolution, "next_mask" from one more click on the same photo.
Stage = Literal["preprocess", "inference", "postprocess", "total", "first_mask", "next_mask"]
ThermalState = Literal["nominal", "fair", "serious", "critical"]
#: "artifact" is one of this project's, "network" torch itself, "peer" another network,
#: "peak" a kernel that shows what the processor can do.
Role = Literal["artifact", "network", "peer", "peak"]

Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Estimate(Frozen):
    """A number with its 95% interval."""

    value: float
    low: float
    high: float

    @property
    def relative_half_width(self) -> float:
        """Half the interval as a share of the value."""
        return (self.high - self.low) / 2 / self.value if self.value else 0.0


class Summary(Frozen):
    """A summary of the samples of one stage.

    Attributes:
        median: The typical time: the medians of rounds, averaged over processes.
        p90: 90th percentile; None under 29 samples, which may all lie below it.
        p99: 99th percentile; None under 299.
        samples: How many there are.
    """

    median: Estimate
    p90: float | None = None
    p99: float | None = None
    samples: int


class Timing(Frozen):
    """Samples of one stage.

    Attributes:
        rounds: Milliseconds, one list a round; a round's samples were taken in a row.
        processes: Number of the process, from 0, that took each round; None for one process.
        summary: What follows from them.
    """

    rounds: tuple[tuple[Milliseconds, ...], ...] = Field(min_length=1)
    processes: tuple[int, ...] | None = None
    summary: Summary | None = None

    @model_validator(mode="after")
    def _every_round_has_a_process(self) -> Self:
        numbers = self.processes
        if numbers is not None and (
            len(numbers) != len(self.rounds) or set(numbers) != set(range(max(numbers) + 1))
        ):
            raise ValueError("processes must number every round, from 0 on without a gap")
        return self


class MemoryUse(Frozen):
    """Memory of a process at one moment, as Linux counts it (`/proc/PID/smaps_rollup`).

    Attributes:
        rss: Resident pages, those of files and libraries that others share in full.
        pss: The same, shared pages divided by the number of processes that share them.
        uss: Pages of this process alone: what ending it would free.
    """

    rss: int = Field(ge=0)
    pss: int = Field(ge=0)
    uss: int = Field(ge=0)


class Memory(Frozen):
    """Memory of the process that ran the artifact and nothing else.

    Attributes:
        before: Resident memory with all libraries loaded, the artifact not yet.
        loaded: Its growth from there by loading: pages of the file that were touched, copies of
            the weights, and what the runtime allocates while it plans. It is not the weights' size.
        peak: Highest resident memory of the process while it loaded and ran.
        before_loading: The whole reading before loading; None where the system has none.
        after_loading: After loading.
        after_first: After the first inference.
        at_end: After the last one.
    """

    before: int = Field(ge=0)
    loaded: int = Field(ge=0)
    peak: int = Field(ge=0)
    before_loading: MemoryUse | None = None
    after_loading: MemoryUse | None = None
    after_first: MemoryUse | None = None
    at_end: MemoryUse | None = None


class Noise(Frozen):
    """Whether a measurement can be believed; the reasons where not."""

    believable: bool
    reasons: tuple[str, ...] = ()


class Subject(Frozen):
    """The subject of a measurement.

    Attributes:
        name: File name of the artifact, or a name that tells it from others.
        role: Kind of subject.
        runtime: What ran it.
        precision: Of weights and arithmetic.
        preset: This project's preset; None for other networks.
        scope: "whole network" or what part of it.
        sha256: Of the file; of a package directory, the hash of its listing (`tree_sha256`).
        bytes: Size on disk; None where there is no file.
        macs: Multiply-accumulates of one inference; None where unknown.
        parameters: Weights; None where unknown.
        random_weights: Whether the weights were drawn at random, which latency does not depend on.
    """

    name: str
    role: Role
    runtime: str
    precision: str
    preset: str | None = None
    scope: str = "whole network"
    sha256: Sha256 | None = None
    bytes: int | None = Field(default=None, ge=0)
    macs: int | None = Field(default=None, gt=0)
    parameters: int | None = Field(default=None, gt=0)
    random_weights: bool = False

    @property
    def makes_masks(self) -> bool:
        """Whether it is a preset of this project, and not its saliency network."""
        return self.preset in PRESETS


class Setup(Frozen):
    """How it was run.

    Attributes:
        compute: "cpu", a GPU, or Core ML's compute units ("cpuAndNeuralEngine" and the like).
        threads: CPU threads; None where the runtime chooses.
        batch: Images in one inference.
        variant: "eager", "compiled", "cuda-graph"; empty where there is only one way.
    """

    compute: str = "cpu"
    threads: int | None = Field(default=None, ge=1)
    batch: int = Field(default=1, ge=1)
    variant: str = ""


class Bounds(Frozen):
    """Least time one inference can take on a GPU, from its measured peaks.

    Attributes:
        arithmetic: All multiply-accumulates at the measured rate of a large matrix product.
        traffic: Every weight, input and output of a convolution or product moved once at the
            measured bandwidth.
    """

    arithmetic: Milliseconds
    traffic: Milliseconds


class PlannedOperations(Frozen):
    """Operations of one kind that Core ML plans to run on one unit (`MLComputePlan`).

    Attributes:
        operation: Its name in the program: "ios17.conv".
        unit: Where it is planned to run.
        count: How many there are.
        cost: Their share of the program's estimated cost, 0 to 1.
    """

    operation: str
    unit: Literal["cpu", "gpu", "neuralEngine", "unknown"]
    count: int = Field(ge=1)
    cost: float = Field(ge=0)


class Measurement(Frozen):
    """One subject, run in one way.

    Attributes:
        load: Milliseconds to open the artifact, one number a fresh process.
        first: The first inference of each of those processes.
        warm_up: Inferences before the steady state, not part of `stages`.
        stages: Steady state; "inference" is always there.
        thermal: States before, between and after; None where the device has no such reading.
        low_power: Whether the system saved power at the time; None where it cannot.
        memory: Reading of each process; earlier files have one process's alone.
        planned: Where Core ML plans the operations; None where it was not asked. What a unit cannot
            run moves to another without a word, and latency alone does not say why it is high.
    """

    subject: Subject
    setup: Setup
    load: tuple[Milliseconds, ...] = ()
    first: tuple[Milliseconds, ...] = ()
    warm_up: tuple[Milliseconds, ...] = ()
    stages: dict[Stage, Timing]
    memory: tuple[Memory, ...] | Memory | None = None
    profile: Profile | None = None
    bounds: Bounds | None = None
    thermal: tuple[ThermalState, ...] | None = None
    low_power: bool | None = None
    planned: tuple[PlannedOperations, ...] | None = None
    noise: Noise | None = None

    @property
    def memory_readings(self) -> tuple[Memory, ...]:
        """Memory of each process that was read."""
        if self.memory is None or isinstance(self.memory, tuple):
            return self.memory or ()
        return (self.memory,)

    @property
    def inference(self) -> Timing:
        """The network alone."""
        return self.stages["inference"]


class NotMeasured(Frozen):
    """A row that stays empty, and why."""

    subject: str
    setup: str
    reason: str


class Ratio(Frozen):
    """How many times longer one subject takes than another, within this run."""

    numerator: str
    denominator: str
    setup: Setup
    estimate: Estimate


class Device(Frozen):
    """The machine of a measurement, without anything that names its owner.

    Attributes:
        kind: Kind of device.
        name: As its maker calls it: "AMD EPYC", "NVIDIA H100", "iPhone 15 Pro".
        model: Machine identifier where there is one ("iPhone16,1").
        system: Operating system and version.
        cores: Processor cores that could be used.
        memory: Installed memory; None where unknown.
        features: Instructions that matter here, int8 ones first.
        virtual: Whether it is a virtual machine.
        cache: Bytes of the last level of cache that the first core sees; None where unknown.
        frequency: Highest frequency of the first core in MHz, of a virtual machine the nominal one;
            None where unknown.
    """

    kind: DeviceKind
    name: str
    model: str | None = None
    system: str
    cores: int = Field(ge=1)
    memory: int | None = Field(default=None, gt=0)
    features: tuple[str, ...] = ()
    virtual: bool = False
    cache: int | None = Field(default=None, gt=0)
    frequency: int | None = Field(default=None, gt=0)

    def differences(self, other: "Device") -> list[str]:
        """The fields that tell two devices apart; a field that only one of them has does not."""
        names = ("kind", "name", "model", "cores", "features", "virtual", "cache", "frequency")
        pairs = ((name, getattr(self, name), getattr(other, name)) for name in names)
        return [
            f"{name} {mine} and {theirs}"
            for name, mine, theirs in pairs
            if mine != theirs and None not in (mine, theirs)
        ]


class Environment(Frozen):
    """The state of the device around the measurement.

    Attributes:
        governor: Frequency governor; None where the system does not tell.
        load_before: Load average of the last minute when it began.
        load_after: The same at the end.
        available_memory: When it began.
        foreign_cpu: Share of the processor that other processes took, one number a round.
        stolen_cpu: Share that the hypervisor gave to other machines, one number a round.
        build: "release" or "debug" of the app that measured; None for Python.
        versions: Of every library that matters, by name.
        git_revision: Of this package's checkout.
    """

    governor: str | None = None
    load_before: float | None = None
    load_after: float | None = None
    available_memory: int | None = None
    foreign_cpu: tuple[float, ...] = ()
    stolen_cpu: tuple[float, ...] = ()
    build: Literal["release", "debug"] | None = None
    versions: dict[str, str] = Field(default_factory=dict)
    git_revision: str | None = None


class Method(Frozen):
    """How the samples were taken.

    Attributes:
        rounds: Times every subject had its turn.
        processes: Fresh processes of each subject, which take its rounds one after another.
        turn_ms: Milliseconds a turn was meant to last.
        discarded: Inferences at the start of each turn that are not recorded.
        images: Photos the inputs were made from, in turn.
        image_sizes: Their widths and heights.
        interleaved: Whether subjects took turns, so that ratios may be paired by round.
        notes: Anything a reader must know.
    """

    rounds: int = Field(ge=1)
    processes: int = Field(default=1, ge=1)
    turn_ms: float | None = None
    discarded: int = Field(default=0, ge=0)
    images: int = Field(default=1, ge=0)
    image_sizes: tuple[tuple[int, int], ...] = ()
    interleaved: bool
    notes: tuple[str, ...] = ()


class BenchmarkResult(Frozen):
    """One run on one device.

    `result_version` grows when a reader must change. Version 1 had no processes of rounds, no
    readings of shared memory, and percentiles of any number of samples.
    """

    result_version: Literal[1, 2] = 2
    created: str = Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
    tool: str
    device: Device
    environment: Environment
    method: Method
    measurements: tuple[Measurement, ...]
    ratios: tuple[Ratio, ...] = ()
    not_measured: tuple[NotMeasured, ...] = ()
