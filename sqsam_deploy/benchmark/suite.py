"""The subjects of `sqsam-bench DIR`: artifacts, torch, peak kernels, peers."""

import logging
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from sqsam_deploy._internal.progress import shown_steps
from sqsam_deploy._internal.temporary import scratch_directory
from sqsam_deploy._internal.workers import usable_cores
from sqsam_deploy.benchmark.compare import FIRST, SECOND
from sqsam_deploy.benchmark.cpp import cpp_targets
from sqsam_deploy.benchmark.measure import MeasurementPlan, measure, step_count
from sqsam_deploy.benchmark.request import BenchRequest
from sqsam_deploy.benchmark.result import BenchmarkResult, NotMeasured
from sqsam_deploy.benchmark.roofline import build_peak_kernels
from sqsam_deploy.benchmark.subjects import (
    RunnableSubject,
    artifact_targets,
    exported_peer_targets,
    network_target,
    peak_target,
    peer_targets,
)
from sqsam_deploy.errors import ArtifactError, UsageError


def run_suite(request: BenchRequest) -> BenchmarkResult:
    """Measures what a request names, with a progress bar.

    Raises:
        ArtifactError: A directory or file cannot be used, or nothing could be measured.
        UsageError: Two subjects share a name, or the numbers of threads cannot be used.
    """
    plan = measurement_plan(request)
    targets, left_out = _targets(request)
    with scratch_directory("bench") as folder:
        if request.cpp:
            targets += cpp_targets(targets, folder)
        if request.peak:
            targets += _peaks(folder)
        with shown_steps(step_count(targets, plan)) as steps:
            result = measure(targets, plan, steps)
    missing = (*result.not_measured, *left_out)
    return result.model_copy(update={"not_measured": missing})


def measurement_plan(request: BenchRequest) -> MeasurementPlan:
    """How much is measured on this machine.

    Raises:
        UsageError: The numbers of threads are none, repeat, or are more than there are cores.
    """
    cores = usable_cores()
    return MeasurementPlan(
        threads=_powers(cores) if request.threads is None else _counts(request.threads, cores),
        rounds=request.rounds,
        processes=request.processes,
        profiled=10 if request.profile else 0,
    )


def _powers(cores: int) -> tuple[int, ...]:
    """1, 2, 4 … and all cores."""
    below = [1 << power for power in range(cores.bit_length()) if 1 << power < cores]
    return (*below, cores)


def _counts(text: str, cores: int) -> tuple[int, ...]:
    try:
        counts = tuple(int(part) for part in text.split(","))
    except ValueError:
        counts = ()
    if not counts or min(counts) < 1 or max(counts) > cores or len(set(counts)) < len(counts):
        raise UsageError(
            f"--threads takes different numbers from 1 to {cores} joined by commas, got '{text}'"
        )
    return counts


def measure_pairs(
    before: Path, after: Path, plan: MeasurementPlan
) -> tuple[BenchmarkResult, list[tuple[str, str]]]:
    """Measures the artifacts that two directories share, all in turns.

    Returns:
        The result, and the names of each pair in it.

    Raises:
        ArtifactError: A directory cannot be used, or they share no artifact.
    """
    sides = {label: artifact_targets(path)[0] for label, path in ((FIRST, before), (SECOND, after))}
    known = {target.subject.name for target in sides[FIRST]}
    shared = [t.subject.name for t in sides[SECOND] if t.subject.name in known]
    if not shared:
        raise ArtifactError(f"{before} and {after} have no artifact of the same name")
    targets = [
        _renamed(target, label)
        for label, found in sides.items()
        for target in found
        if target.subject.name in shared
    ]
    with shown_steps(step_count(targets, plan)) as steps:
        result = measure(targets, plan, steps)
    return result, [(FIRST + name, SECOND + name) for name in shared]


def _renamed(target: RunnableSubject, label: str) -> RunnableSubject:
    subject = target.subject.model_copy(update={"name": label + target.subject.name})
    return replace(target, subject=subject)


def _targets(request: BenchRequest) -> tuple[list[RunnableSubject], list[NotMeasured]]:
    targets: list[RunnableSubject] = []
    left_out: list[NotMeasured] = []
    for directory in request.directories:
        found, skipped = artifact_targets(directory)
        targets += found
        left_out += skipped
    if request.torch:
        targets += [network_target(name) for name in _presets(targets)]
    if request.peers is not None:
        targets += peer_targets(request.peers)
    for option in request.peer:
        targets += exported_peer_targets(option)
    return targets, left_out


def _presets(targets: Sequence[RunnableSubject]) -> list[str]:
    """The presets of what makes masks."""
    subjects = [target.subject for target in targets]
    return list(dict.fromkeys(s.preset for s in subjects if s.preset and s.makes_masks))


def _peaks(folder: Path) -> list[RunnableSubject]:
    # The exporters talk about themselves.
    logging.disable(logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [peak_target(kernel) for kernel in build_peak_kernels(folder)]
