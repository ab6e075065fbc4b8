"""A profile of whatever a worker runs, by the runtime's own tool."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sqsam_deploy.benchmark.jobs import Job
from sqsam_deploy.benchmark.photos import bind_photo, load_photos
from sqsam_deploy.errors import ArtifactError
from sqsam_deploy.runtimes.base import Runtime
from sqsam_deploy.runtimes.profiling import Profile
from sqsam_deploy.runtimes.registry import runtime_of_metadata, runtimes_for


def can_profile(job: Job) -> bool:
    """Whether the runtime has a tool for it."""
    return job.kind in ("artifact", "plain") and _runtime(job).profiler is not None


def take_profile(job: Job, count: int) -> Profile:
    """Where `count` inferences of a job's subject spend their time.

    Raises:
        ArtifactError: Its runtime has no profiler.
    """
    path, runtime = Path(job.target), _runtime(job)
    if job.metadata is None:
        feeds: Sequence[NDArray[np.generic]] = runtime.raw_runner(path, job.threads).random_inputs()
    else:
        (photo,) = load_photos(1)
        feeds = list(bind_photo(photo, job.metadata).values())
    taken = runtime.profile(path, feeds, job.threads, count)
    if taken is None:
        raise ArtifactError(f"{path} cannot be profiled: {runtime.title} has no tool for it")
    return taken.profile


def _runtime(job: Job) -> Runtime:
    path = Path(job.target)
    return runtime_of_metadata(job.metadata, path) if job.metadata else runtimes_for(path)[0]
