"""Runs readers on changed files in a process of their own, so that a crash is found and named."""

import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import traceback
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqsam_deploy.errors import SqsamError
from tests.fuzz.targets import TARGETS

#: For one file, and beyond what the imported libraries take.
SECONDS = 20
MEMORY = 2 << 30

Case = tuple[str, int]


@dataclass(frozen=True)
class Finding:
    """A file that ended in something else than success or an error of the package."""

    target: str
    case: int
    what: str

    def __str__(self) -> str:
        return f"{self.target}, case {self.case}: {self.what}"


def make_file(target: str, case: int, seed: int) -> bytes:
    """The file of a case: the same for the same seed."""
    rng = random.Random(f"{seed} {target} {case}")
    wanted = TARGETS[target]
    return wanted.change(rng.choice(wanted.seeds()), rng)


def run(cases: Sequence[Case], seed: int, keep: Path) -> Iterator[Finding]:
    """The findings, with their files in the folder `keep`."""
    begin = 0
    while begin < len(cases):
        command = [sys.executable, "-m", "tests.fuzz.harness", str(seed)]
        lines = "".join(f"{name}/{case}\n" for name, case in cases[begin:])
        done = subprocess.run(command, input=lines, capture_output=True, text=True, check=False)
        answers = done.stdout.splitlines()
        for (name, case), answer in zip(cases[begin:], answers, strict=False):
            if answer != "fine":
                yield _kept(Finding(name, case, answer), seed, keep)
        begin += len(answers)
        if begin < len(cases):
            # The process ended at this file.
            what = f"SIG{-done.returncode}" if done.returncode < 0 else f"exit {done.returncode}"
            if done.returncode == -signal.SIGALRM:
                what = f"more than {SECONDS} s"
            elif done.returncode < 0:
                what = signal.Signals(-done.returncode).name
            name, case = cases[begin]
            yield _kept(Finding(name, case, f"{what} {done.stderr[-300:]}"), seed, keep)
            begin += 1


def _kept(finding: Finding, seed: int, keep: Path) -> Finding:
    keep.mkdir(parents=True, exist_ok=True)
    name = f"{finding.target.replace(' ', '-')}-{seed}-{finding.case}"
    (keep / name).write_bytes(make_file(finding.target, finding.case, seed))
    return finding


def _outcome(target: str, path: Path) -> str:
    try:
        TARGETS[target].read(path)
    except SqsamError as error:
        return "fine" if "\n" not in str(error) else f"more than a line: {error!r}"
    except MemoryError:
        return f"more than {MEMORY >> 20} MB"
    except BaseException as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        return f"{error!r:.200} in {last.filename}:{last.lineno}".replace("\n", " ")
    return "fine"


def _work(seed: int) -> None:
    warnings.simplefilter("ignore")
    # Libraries write to standard output.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    cases = [line.strip().rpartition("/")[::2] for line in sys.stdin]
    with tempfile.TemporaryDirectory() as folder:
        for target in dict(cases):
            # What is imported for the first file does not count.
            _outcome(target, _written(folder, target, TARGETS[target].seeds()[0]))
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        for target, case in cases:
            path = _written(folder, target, make_file(target, int(case), seed))
            signal.alarm(SECONDS)
            answer = _outcome(target, path)
            signal.alarm(0)
            print(answer, file=answers, flush=True)


def _written(folder: str, target: str, content: bytes) -> Path:
    path = Path(folder) / TARGETS[target].name
    path.write_bytes(content)
    return path


if __name__ == "__main__":
    _work(int(sys.argv[1]))
