"""The C++ worker, built once: it answers as Python's does, and needs what the file says."""

import platform
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from sqsam_deploy.benchmark.channel import Worker
from sqsam_deploy.benchmark.cpp import cpp_targets, library_paths
from sqsam_deploy.benchmark.jobs import Job
from sqsam_deploy.benchmark.subjects import RunnableSubject, artifact_targets
from sqsam_deploy.errors import ArtifactError

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        platform.system() != "Linux" or not shutil.which("c++"), reason="no C++ compiler here"
    ),
]


@pytest.fixture(scope="module")
def nano(nano_export: Path) -> list[RunnableSubject]:
    return artifact_targets(nano_export)[0]


@pytest.fixture(scope="module")
def cpp(nano: list[RunnableSubject], tmp_path_factory: pytest.TempPathFactory) -> RunnableSubject:
    found = {each.subject.name: each for each in cpp_targets(nano, tmp_path_factory.mktemp("cpp"))}
    assert list(found) == ["nano-int8.pte in C++", "saliency-int8.pte in C++"]
    return found["nano-int8.pte in C++"]


def job(target: RunnableSubject) -> Job:
    return Job(
        kind=target.kind,
        target=target.target,
        metadata=target.metadata,
        program=target.program,
        threads=1,
        photos=2,
    )


def test_it_needs_a_small_part_of_the_memory_of_python(
    cpp: RunnableSubject, nano: list[RunnableSubject]
) -> None:
    (python,) = (target for target in nano if target.subject.name == "nano-int8.pte")
    peaks = []
    for target in (cpp, python):
        with Worker(job(target)) as worker:
            times = worker.run(4).stages["inference"]
            assert len(times) == 4
            assert min(times) > 0
            memory = worker.memory()
            assert memory.peak >= memory.before + memory.loaded > memory.before > 0
            assert memory.at_end is not None
            peaks.append(memory.peak)
    assert peaks[0] < peaks[1] / 4


def test_a_program_without_kernels_cannot_load_what_needs_them(
    cpp: RunnableSubject, tiny_artifact: Callable[[str], Path], tmp_path: Path
) -> None:
    path = tiny_artifact("tiny-fp16.pte")
    # Loading asks for kernels; without inputs, what loads ends at its first inference.
    for more, ends in (((), "error 20"), (("kernels_optimized",), "inference")):
        libraries = map(str, library_paths(("backend_xnnpack", *more)))
        program = (cpp.program[0], str(path), "1", str(tmp_path), "1", *libraries)
        with pytest.raises(ArtifactError, match=ends):
            Worker(Job(kind="artifact", target=str(path), program=program, threads=1))
