"""A profile of whatever a worker runs, by the runtime's own tool."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sqsam_deploy.artifact.metadata import ArtifactMetadata
from sqsam_deploy.benchmark.jobs import Job
from sqsam_deploy.benchmark.photos import load_photos
from sqsam_deploy.benchmark.plain import open_plain
from sqsam_deploy.benchmark.profiling.executorch import profile_executorch
from sqsam_deploy.benchmark.profiling.onnx import profile_onnx
from sqsam_deploy.benchmark.result import Profile
from sqsam_deploy.errors import ArtifactError


def can_profile(job: Job) -> bool:
    """Whether the runtime has a tool for it."""
    return Path(job.target).suffix in (".onnx", ".pte")


def take_profile(job: Job, count: int) -> Profile:
    """Where `count` inferences of a job's subject spend their time.

    Raises:
        ArtifactError: Its runtime has no profile.
    """
    path = Path(job.target)
    if not can_profile(job):
        raise ArtifactError(f"{path} cannot be profiled: only .onnx and .pte files can")
    feeds = _random(path, job.threads) if job.metadata is None else _real(job.metadata)
    tool = profile_onnx if path.suffix == ".onnx" else profile_executorch
    return tool(path, feeds, job.threads, count)


def _random(path: Path, threads: int) -> list[NDArray[np.generic]]:
    return open_plain(path, threads).random_inputs()


def _real(metadata: ArtifactMetadata) -> Sequence[NDArray[np.generic]]:
    from sqsam_deploy.prompts import encode_prompt, prepare_image
    from sqsam_deploy.runtimes.session import bind_inputs

    (photo,) = load_photos(1)
    config = metadata.config
    encoded = encode_prompt(photo.prompt, photo.image.shape[:2], config)
    feeds = bind_inputs(metadata, prepare_image(photo.image, config), encoded)
    return list(feeds.values())
