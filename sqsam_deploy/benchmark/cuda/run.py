"""All cases of a GPU run, batch by batch, in turns within a batch."""

import gc
import platform
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path

import numpy as np
import torch

from sqsam_deploy._internal.progress import SilentSteps, Steps
from sqsam_deploy.artifact.files import hash_file
from sqsam_deploy.benchmark.cuda.bounds import DevicePeaks, bounds_of, measure_peaks
from sqsam_deploy.benchmark.cuda.grid import Case
from sqsam_deploy.benchmark.cuda.onnx import PROVIDERS, provider_rounds
from sqsam_deploy.benchmark.cuda.programs import (
    Peer,
    Program,
    build_peer,
    build_program,
    precision_of,
)
from sqsam_deploy.benchmark.cuda.timing import time_calls
from sqsam_deploy.benchmark.environment import capture_environment, cpu_device, load_average
from sqsam_deploy.benchmark.macs import count_work, preset_work
from sqsam_deploy.benchmark.noise import concluded
from sqsam_deploy.benchmark.result import (
    BenchmarkResult,
    Device,
    Measurement,
    Method,
    NotMeasured,
    Setup,
    Subject,
    Timing,
)
from sqsam_deploy.benchmark.resultfile import now
from sqsam_deploy.errors import MissingDependencyError, SqsamError
from sqsam_deploy.runtimes.onnx import RUNTIME as ONNX
from sqsam_deploy.version import __version__

_WARM_UP = 5
_DISCARDED = 2


@dataclass(frozen=True)
class CudaPlan:
    """The plan of a measurement.

    Attributes:
        preset_name: The network.
        cases: Ways to run it in torch.
        onnx: A float ONNX artifact for ONNX Runtime's CUDA and TensorRT providers, or None.
        rounds: Turns of every case.
        per_round: Recorded inferences of a turn.
        peers: Other networks, which take turns with the cases of one image.
    """

    preset_name: str
    cases: tuple[Case, ...]
    onnx: Path | None = None
    rounds: int = 10
    per_round: int = 10
    peers: tuple[Peer, ...] = ()


def require_gpu() -> torch.device:
    """The first CUDA GPU.

    Raises:
        MissingDependencyError: torch sees none.
    """
    if not torch.cuda.is_available():
        raise MissingDependencyError(
            "no CUDA GPU here, or this torch was built without CUDA: run sqsam-bench cuda on a "
            "machine with a GPU and a CUDA build of torch"
        )
    return torch.device("cuda")


def measure_cuda(
    plan: CudaPlan, device: torch.device, steps: Steps | None = None
) -> BenchmarkResult:
    """Runs every case; one that fails is listed as not measured, with its error."""
    steps = steps or SilentSteps()
    environment = capture_environment()
    steps.begin("measuring the device's peaks")
    peaks = _peaks(plan, device)
    run = _CudaRun(plan, device, peaks, steps)
    for _, batch in groupby(plan.cases, key=lambda case: case.batch):
        run.measure_batch(list(batch))
    run.measure_providers()
    environment = environment.model_copy(
        update={"load_after": load_average(), "versions": _versions(environment.versions)}
    )
    return BenchmarkResult(
        created=now(),
        tool=f"sqsam-bench {__version__}",
        device=describe_gpu(device),
        environment=environment,
        method=_method(plan, peaks),
        measurements=concluded(run.measurements, environment),
        not_measured=tuple(run.failures),
    )


def _peaks(plan: CudaPlan, device: torch.device) -> DevicePeaks:
    precisions = tuple(dict.fromkeys(case.precision for case in plan.cases))
    if device.type == "cuda":
        return measure_peaks(device, precisions)
    return measure_peaks(device, precisions, side=64, copied=1 << 16)


class _CudaRun:
    def __init__(
        self, plan: CudaPlan, device: torch.device, peaks: DevicePeaks, steps: Steps
    ) -> None:
        self._plan, self._device, self._peaks, self._steps = plan, device, peaks, steps
        self.measurements: list[Measurement] = []
        self.failures: list[NotMeasured] = []

    def measure_batch(self, cases: Sequence[Case]) -> None:
        """Builds all cases of one batch, lets them take turns, and frees them."""
        programs = list(self._build(cases))
        if cases[0].batch == 1:
            programs += self._build_peers(cases)
        taken: list[list[tuple[float, ...]]] = [[] for _ in programs]
        for index in range(self._plan.rounds):
            self._steps.begin(f"batch {cases[0].batch}: round {index + 1} of {self._plan.rounds}")
            for position in np.random.default_rng(index).permutation(len(programs)):
                taken[position].append(self._turn(programs[position], self._plan.per_round))
        for program, rounds in zip(programs, taken, strict=True):
            self.measurements.append(self._measurement(program, rounds))
        programs.clear()
        gc.collect()
        if self._device.type == "cuda":
            torch.cuda.empty_cache()

    def _build(self, cases: Iterable[Case]) -> Iterator[Program]:
        for case in cases:
            yield from self._started(
                f"batch {case.batch}: {case.variant}, {case.precision}",
                f"{case.variant}, {case.precision}, batch {case.batch}",
                case,
                partial(build_program, self._plan.preset_name, case, self._device),
            )

    def _build_peers(self, cases: Sequence[Case]) -> Iterator[Program]:
        for peer in self._plan.peers:
            for precision in dict.fromkeys(case.precision for case in cases):
                case, name = Case("eager", precision, False, 1), f"{peer.name}, {precision}"
                build = partial(build_peer, peer, case, self._device)
                yield from self._started(name, name, case, build)

    def _started(
        self, step: str, setup: str, case: Case, build: Callable[[], Program]
    ) -> Iterator[Program]:
        """The program, warm; nothing where it fails, which is listed under `setup`."""
        self._steps.begin(step)
        try:
            with precision_of(case):
                program = build()
                time_calls(program.call, _WARM_UP, self._device)
        # Out of memory, no compiler, a precision the device has not: the other cases go on.
        except Exception as error:
            self._fail(setup, error)
        else:
            yield program

    def _turn(self, program: Program, count: int) -> tuple[float, ...]:
        with precision_of(program.case):
            times = time_calls(program.call, _DISCARDED + count, self._device)
        return times[_DISCARDED:]

    def _measurement(self, program: Program, rounds: Sequence[tuple[float, ...]]) -> Measurement:
        case, peer = program.case, program.peer
        subject = (
            self._subject("torch", case.precision)
            if peer is None
            else _peer_subject(peer, case.precision)
        )
        return Measurement(
            subject=subject,
            setup=Setup(compute=self._device.type, batch=case.batch, variant=case.variant),
            stages={"inference": Timing(rounds=tuple(rounds))},
            bounds=None if peer else bounds_of(self._plan.preset_name, case, self._peaks),
        )

    def measure_providers(self) -> None:
        """ONNX Runtime's GPU providers at batch 1, one after another."""
        for provider in PROVIDERS:
            self._steps.begin(f"ONNX Runtime, {provider}")
            try:
                if self._plan.onnx is None:
                    raise MissingDependencyError("no ONNX artifact was given (--onnx)")
                rounds = provider_rounds(
                    self._plan.onnx, provider, self._plan.rounds, self._plan.per_round
                )
            except Exception as error:
                self._fail(f"onnx, {provider} provider", error)
            else:
                self._add_provider(self._plan.onnx, provider, rounds)

    def _add_provider(
        self, path: Path, provider: str, rounds: tuple[tuple[float, ...], ...]
    ) -> None:
        subject = self._subject(ONNX.name, "fp32").model_copy(
            update={"name": path.name, "sha256": hash_file(path), "bytes": path.stat().st_size}
        )
        setup = Setup(compute=self._device.type, variant=f"{provider} provider, host clock")
        self.measurements.append(
            Measurement(subject=subject, setup=setup, stages={"inference": Timing(rounds=rounds)})
        )

    def _subject(self, runtime: str, precision: str) -> Subject:
        work = preset_work(self._plan.preset_name)
        return Subject(
            name=f"{self._plan.preset_name} {runtime} {precision}",
            role="network",
            runtime=runtime,
            precision=precision,
            preset=self._plan.preset_name,
            macs=work.macs,
            parameters=work.parameters,
            random_weights=True,
        )

    def _fail(self, setup: str, error: Exception) -> None:
        said = str(error) if isinstance(error, SqsamError) else f"{type(error).__name__}: {error}"
        reason = said.strip().split("\n")[0]
        self.failures.append(
            NotMeasured(subject=self._plan.preset_name, setup=setup, reason=reason)
        )


def _peer_subject(peer: Peer, precision: str) -> Subject:
    with torch.device("meta"):
        network = peer.build(peer.input_size)
        work = count_work(network, (torch.empty(1, 3, peer.input_size, peer.input_size),))
    return Subject(
        name=f"{peer.name} torch {precision}",
        role="peer",
        runtime="torch",
        precision=precision,
        scope=f"{peer.scope}, {peer.input_size}²",
        macs=work.macs,
        parameters=work.parameters,
        random_weights=True,
    )


def describe_gpu(device: torch.device) -> Device:
    """The GPU as the device of a result."""
    host = cpu_device()
    if device.type != "cuda":
        return host
    properties = torch.cuda.get_device_properties(device)
    return Device(
        kind="cuda",
        name=properties.name,
        model=f"compute capability {properties.major}.{properties.minor}",
        system=f"{host.system}; CUDA {torch.version.cuda}",
        cores=properties.multi_processor_count,
        memory=properties.total_memory,
        virtual=host.virtual,
    )


def _versions(known: dict[str, str]) -> dict[str, str]:
    cudnn = torch.backends.cudnn.version()  # type: ignore[no-untyped-call]
    extra = {"cuda": torch.version.cuda, "cudnn": str(cudnn or "")}
    return {**known, **{name: text for name, text in extra.items() if text}}


def _method(plan: CudaPlan, peaks: DevicePeaks) -> Method:
    rates = ", ".join(f"{name} {rate / 1e9:.0f}" for name, rate in peaks.macs_per_ms.items())
    return Method(
        rounds=plan.rounds,
        discarded=_DISCARDED,
        images=0,
        interleaved=True,
        notes=(
            "inputs are random numbers in device memory; device events around each inference",
            f"peak of a large matrix product, TMAC/s: {rates}",
            f"bandwidth of a large copy, GB/s: {peaks.bytes_per_ms / 1e6:.0f}",
            f"python {platform.python_version()}",
        ),
    )
