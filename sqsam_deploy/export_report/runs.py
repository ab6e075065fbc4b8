"""A few inferences of each artifact under its runtime's own profiler."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sqsam_deploy.artifact.metadata import ArtifactMetadata
from sqsam_deploy.benchmark.plain import random_array
from sqsam_deploy.benchmark.result import Profile
from sqsam_deploy.errors import ArtifactError
from sqsam_deploy.export_report.operators.onnx import RunOperators, run_operators

#: Inferences of which the median is taken, after two that the profilers do not count. Of a small
#: network one alone would show whatever else the machine did; a large one takes seconds for each.
COUNT, COUNT_OF_LARGE = 7, 1
#: Longest side of the images of a small network.
_SMALL = 512


@dataclass(frozen=True)
class ProfiledRun:
    """What one artifact did.

    Attributes:
        profile: Where the time went.
        operators: The kernels that ran; None where the runtime's profile does not have them all.
    """

    profile: Profile
    operators: RunOperators | None


def profiled_run(path: Path, metadata: ArtifactMetadata) -> ProfiledRun | None:
    """Profiles an artifact on random inputs, whose values do not change the time.

    Returns:
        None where this machine has no profiler for the artifact's runtime.
    """
    profilers = {"executorch": _executorch, "onnx": _onnx}
    if metadata.runtime not in profilers:
        return None
    count = COUNT if metadata.image_size <= _SMALL else COUNT_OF_LARGE
    feeds = [random_array(spec.shape, np.dtype(spec.dtype)) for spec in metadata.inputs]
    try:
        return profilers[metadata.runtime](path, feeds, count)
    except (ArtifactError, ImportError, OSError, RuntimeError, StopIteration):
        # Builds of a runtime without its profiler: the report has to be written all the same.
        return None


def _executorch(path: Path, feeds: list[NDArray[np.generic]], count: int) -> ProfiledRun:
    import warnings

    from sqsam_deploy.benchmark.profiling.executorch import profile_executorch
    from sqsam_deploy.runtimes.executorch.quiet import quiet_cpp

    with quiet_cpp(), warnings.catch_warnings():
        # The inspector misses the tensors' values, which nobody asked for.
        warnings.simplefilter("ignore")
        return ProfiledRun(profile_executorch(path, feeds, _threads(), count), None)


def _onnx(path: Path, feeds: list[NDArray[np.generic]], count: int) -> ProfiledRun:
    from sqsam_deploy.benchmark.profiling.onnx import read_trace, trace_onnx

    trace = trace_onnx(path, feeds, _threads(), count)
    return ProfiledRun(read_trace(trace), run_operators(trace))


def _threads() -> int:
    import torch

    return torch.get_num_threads()
