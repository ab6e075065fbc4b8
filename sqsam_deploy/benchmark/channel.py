"""A worker process as its parent sees it."""

import os
import subprocess
import sys
import tempfile
from typing import Self, TypeVar

from pydantic import BaseModel, ValidationError

from sqsam_deploy.benchmark.jobs import Command, Failed, Job, Loaded, MemoryReading, Samples
from sqsam_deploy.benchmark.result import Memory
from sqsam_deploy.errors import ArtifactError
from sqsam_deploy.runtimes.profiling import Profile

Answer = TypeVar("Answer", bound=BaseModel)


class Worker:
    """Starts a fresh process for a job, waits until it has loaded, and asks it for work.

    Raises:
        ArtifactError: From every method, when the process fails or ends.
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        self._noise = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed in `close`
        self._process = subprocess.Popen(
            _command(job),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._noise,
            text=True,
            # Threads of OpenMP, which torch uses between inferences, would spin into the next one.
            env={"OMP_WAIT_POLICY": "PASSIVE", **os.environ},
        )
        try:
            self._send(job)
            self.loaded = self._receive(Loaded)
        except BaseException:
            self.close()
            raise

    def run(self, count: int) -> Samples:
        """Some inferences in a row."""
        self._send(Command(do="run", count=count))
        return self._receive(Samples)

    def memory(self) -> Memory:
        """Its memory so far."""
        self._send(Command(do="memory"))
        return self._receive(MemoryReading).memory

    def profile(self, count: int) -> Profile:
        """Where the time of an inference goes, over `count` inferences."""
        self._send(Command(do="profile", count=count))
        return self._receive(Profile)

    def close(self) -> None:
        """Ends the process."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._noise):
            if stream is not None:
                stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def _send(self, message: BaseModel) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(f"{message.model_dump_json()}\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise ArtifactError(self._how_it_ended()) from None

    def _receive(self, kind: type[Answer]) -> Answer:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise ArtifactError(self._how_it_ended())
        try:
            return kind.model_validate_json(line)
        except ValidationError:
            raise ArtifactError(Failed.model_validate_json(line).error) from None

    def _how_it_ended(self) -> str:
        code = self._process.wait()
        self._noise.seek(0)
        last = [line for line in self._noise.read().splitlines() if line.strip()][-1:]
        return f"the process ended with status {code}" + (f": {last[0].strip()}" if last else "")


def _command(job: Job) -> list[str]:
    if job.program:
        return [word.replace("{threads}", str(job.threads)) for word in job.program]
    return [sys.executable, "-m", "sqsam_deploy.benchmark.worker"]
