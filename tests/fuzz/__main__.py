"""Fuzzing for as long as it is told: `python -m tests.fuzz --seconds 600 [--seed 1] [TARGET...]`.

A file that ends in anything but success or an error of the package is kept in `--keep`.
"""

import argparse
import itertools
import sys
import time
from collections import Counter
from pathlib import Path

from tests.fuzz.harness import run
from tests.fuzz.targets import TARGETS

_ROUND = 20


def main() -> int:
    """Returns 1 where something was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", help=f"of: {', '.join(TARGETS)}; without any all")
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--keep", type=Path, default=Path("fuzz-findings"))
    options = parser.parse_args()
    names = options.targets or list(TARGETS)
    end, tried, findings = time.monotonic() + options.seconds, Counter[str](), Counter[str]()
    for start in itertools.count(0, _ROUND):
        cases = [(name, case) for name in names for case in range(start, start + _ROUND)]
        for finding in run(cases, options.seed, options.keep):
            findings[finding.target] += 1
            print(finding, flush=True)
        tried.update(name for name, _ in cases)
        if time.monotonic() > end:
            break
    for name in names:
        print(f"{name}: {tried[name]} files, {findings[name]} findings")
    return int(bool(findings))


if __name__ == "__main__":
    sys.exit(main())
