"""Requests to a worker process and its answers: one JSON line each."""

from typing import Literal

from sqsam_deploy.artifact.documents import Frozen
from sqsam_deploy.artifact.metadata import ArtifactMetadata
from sqsam_deploy.benchmark.result import Memory, MemoryUse, Stage

#: "artifact" is one of this project's files, "network" is torch with random weights, "plain" is
#: a runtime's file of any network, fed with random numbers, "peer" one file of a peer of the SAM
#: family, fed as the peer feeds it.
JobKind = Literal["artifact", "network", "plain", "peer"]


class Job(Frozen):
    """The job of a worker.

    Attributes:
        kind: How it is opened.
        target: Path of the file, or name of the preset of a "network".
        metadata: Of an "artifact", from its manifest: reading it from the file would leave traces
            in the memory that is measured.
        peer: All files of a "peer", of which `target` is one.
        program: The worker and its arguments, where it is not Python's.
        threads: CPU threads.
        photos: Photos of the bundled sample that inputs are made from.
    """

    kind: JobKind
    target: str
    metadata: ArtifactMetadata | None = None
    peer: tuple[str, ...] = ()
    program: tuple[str, ...] = ()
    threads: int
    photos: int = 8


class Command(Frozen):
    """One request: run some inferences, read the memory, take a profile, or end."""

    do: Literal["run", "memory", "profile", "end"]
    count: int = 1


class Loaded(Frozen):
    """First answer of a worker: it is ready.

    Attributes:
        load_ms: Opening the artifact.
        first_ms: Its first inference.
        before: Resident bytes before it was opened.
        loaded: Resident bytes after.
        uses: The whole readings before it was opened, after, and after the first inference.
    """

    load_ms: float
    first_ms: float
    before: int
    loaded: int
    uses: tuple[MemoryUse | None, MemoryUse | None, MemoryUse | None]


class Samples(Frozen):
    """Milliseconds of every stage, in order, and the process's processor seconds so far."""

    stages: dict[Stage, tuple[float, ...]]
    processor_seconds: float


class Failed(Frozen):
    """The worker cannot go on, in one sentence."""

    error: str


class MemoryReading(Frozen):
    """Answer to "memory"."""

    memory: Memory
