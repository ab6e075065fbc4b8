"""A few inferences of each artifact under its runtime's own profiler."""

from pathlib import Path

import numpy as np

from sqsam_deploy.artifact.metadata import ArtifactMetadata
from sqsam_deploy.errors import ArtifactError
from sqsam_deploy.runtimes.base import random_array
from sqsam_deploy.runtimes.profiling import ProfiledRun
from sqsam_deploy.runtimes.registry import runtime_of_metadata

#: Inferences of which the median is taken, after two that the profilers do not count. Of a small
#: network one alone would show whatever else the machine did; a large one takes seconds for each.
COUNT, COUNT_OF_LARGE = 7, 1
#: Longest side of the images of a small network.
_SMALL = 512


def profiled_run(path: Path, metadata: ArtifactMetadata) -> ProfiledRun | None:
    """Profiles an artifact on random inputs, whose values do not change the time.

    Returns:
        None where this machine has no profiler for the artifact's runtime.
    """
    import torch

    runtime = runtime_of_metadata(metadata, path)
    count = COUNT if metadata.image_size <= _SMALL else COUNT_OF_LARGE
    feeds = [random_array(spec.shape, np.dtype(spec.dtype)) for spec in metadata.inputs]
    try:
        return runtime.profile(path, feeds, torch.get_num_threads(), count)
    except (ArtifactError, ImportError, OSError, RuntimeError, StopIteration):
        # Builds of a runtime without its profiler: the report has to be written all the same.
        return None
