"""What `sqsam-bench DIR` measures, put together: artifacts, torch, peak kernels, peers."""

import logging
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sqsam_deploy._internal.progress import shown_steps
from sqsam_deploy.benchmark.measure import Plan, measure, step_count
from sqsam_deploy.benchmark.result import BenchmarkResult, NotMeasured
from sqsam_deploy.benchmark.roofline import build_peak_kernels
from sqsam_deploy.benchmark.subjects import (
    Target,
    artifact_targets,
    network_target,
    peak_target,
    peer_targets,
)


@dataclass(frozen=True)
class Suite:
    """What is measured and how.

    Attributes:
        directories: Of artifacts, each with a manifest.
        plan: How much.
        torch: Whether each preset is measured in torch too.
        peak: Whether the processor's peak is measured.
        peers: Directory with `peers.json`, or None.
    """

    directories: tuple[Path, ...]
    plan: Plan
    torch: bool
    peak: bool
    peers: Path | None


def run_suite(suite: Suite) -> BenchmarkResult:
    """Measures a suite, with a progress bar.

    Raises:
        ArtifactError: A directory or file cannot be used, or nothing could be measured.
        UsageError: Two subjects share a name.
    """
    targets, left_out = _targets(suite)
    with tempfile.TemporaryDirectory() as folder:
        if suite.peak:
            targets += _peaks(Path(folder))
        with shown_steps(step_count(targets, suite.plan)) as steps:
            result = measure(targets, suite.plan, steps)
    missing = (*result.not_measured, *left_out)
    return result.model_copy(update={"not_measured": missing})


def _targets(suite: Suite) -> tuple[list[Target], list[NotMeasured]]:
    targets: list[Target] = []
    left_out: list[NotMeasured] = []
    for directory in suite.directories:
        found, skipped = artifact_targets(directory)
        targets += found
        left_out += skipped
    if suite.torch:
        targets += [network_target(name) for name in _presets(targets)]
    if suite.peers is not None:
        targets += peer_targets(suite.peers)
    return targets, left_out


def _presets(targets: Sequence[Target]) -> list[str]:
    return list(dict.fromkeys(t.subject.preset for t in targets if t.subject.preset))


def _peaks(folder: Path) -> list[Target]:
    # The exporters talk about themselves.
    logging.disable(logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [peak_target(kernel) for kernel in build_peak_kernels(folder)]
