"""A process that runs one subject and nothing else: `python -m sqsam_deploy.benchmark.worker`.

The job comes as the first line on stdin, then one command a line; answers go to the stdout this
process was started with. Whatever libraries print goes to stderr.
"""

import os
import sys
import time
from collections.abc import Iterator
from typing import TextIO

from pydantic import BaseModel

from sqsam_deploy.benchmark.jobs import Command, Failed, Job, Loaded, MemoryReading, Samples
from sqsam_deploy.benchmark.memory import forget_peak, memory_use, peak_bytes, resident_bytes
from sqsam_deploy.benchmark.result import Memory, Stage
from sqsam_deploy.benchmark.runners import Runner, make_runner
from sqsam_deploy.errors import SqsamError

#: Digits of a millisecond that are kept: tenths of a microsecond.
_DIGITS = 4


def serve(requests: TextIO, answers: TextIO) -> None:
    """Answers one job's commands until "end" or the end of the input."""
    try:
        for answer in _answers(requests):
            _send(answers, answer)
    except SqsamError as error:
        _send(answers, Failed(error=str(error)))
    except Exception as error:
        _send(answers, Failed(error=f"{type(error).__name__}: {error}".split("\n")[0]))


def _answers(requests: TextIO) -> Iterator[BaseModel]:
    job = Job.model_validate_json(requests.readline())
    runner = make_runner(job)
    loaded = _load(runner)
    yield loaded
    index = 1
    for line in requests:
        command = Command.model_validate_json(line)
        if command.do == "end":
            return
        if command.do == "memory":
            yield MemoryReading(memory=_memory(loaded))
        elif command.do == "profile":
            from sqsam_deploy.benchmark.profile import take_profile

            yield take_profile(job, command.count)
        else:
            yield _run(runner, index, command.count)
            index += command.count


def _load(runner: Runner) -> Loaded:
    unopened = memory_use()
    before = resident_bytes()
    forget_peak()
    start = time.perf_counter()
    runner.load()
    load_ms = (time.perf_counter() - start) * 1e3
    loaded, opened = resident_bytes(), memory_use()
    # The network's own time: drawing a prompt for the first time imports and allocates too.
    first_ms = runner.run(0)["inference"]
    uses = (unopened, opened, memory_use())
    return Loaded(load_ms=load_ms, first_ms=first_ms, before=before, loaded=loaded, uses=uses)


def _run(runner: Runner, index: int, count: int) -> Samples:
    times = [runner.run(index + offset) for offset in range(count)]
    stages: dict[Stage, tuple[float, ...]] = {
        stage: tuple(round(sample[stage], _DIGITS) for sample in times) for stage in times[0]
    }
    return Samples(stages=stages, processor_seconds=time.process_time())


def _memory(loaded: Loaded) -> Memory:
    before_loading, after_loading, after_first = loaded.uses
    return Memory(
        before=loaded.before,
        loaded=max(loaded.loaded - loaded.before, 0),
        peak=peak_bytes(),
        before_loading=before_loading,
        after_loading=after_loading,
        after_first=after_first,
        at_end=memory_use(),
    )


def _send(answers: TextIO, answer: BaseModel) -> None:
    answers.write(f"{answer.model_dump_json()}\n")
    answers.flush()


def main() -> None:
    """Entry point: keeps stdout for the answers and hands libraries stderr instead."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    serve(sys.stdin, answers)


if __name__ == "__main__":
    main()
