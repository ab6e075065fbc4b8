"""Runs artifacts in an older ExecuTorch, and compares the outputs with those of the exporter's.

    python benchmarks/old_runtime.py save EXPORT outputs.npz       # with the newest executorch
    pip install --no-deps executorch==1.4.1
    python benchmarks/old_runtime.py compare EXPORT outputs.npz    # ends with 1 where they differ

float32 and int8 have to be the same bits. 1.4.1 does not load float16 weights of convolutions:
leave fp16 out of EXPORT.
"""

import argparse
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sqsam_deploy.artifact.manifest import read_manifest
from sqsam_deploy.runtimes import open_session
from sqsam_deploy.runtimes.session import random_array

RUNTIME = "executorch"
Outputs = dict[str, NDArray[np.float32]]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("verb", choices=("save", "compare"))
    parser.add_argument("export", type=Path)
    parser.add_argument("outputs", type=Path)
    arguments = parser.parse_args()
    found = outputs_of(arguments.export)
    if arguments.verb == "save":
        np.savez(arguments.outputs, allow_pickle=False, **found)
        return 0
    with np.load(arguments.outputs) as saved:
        return compare({name: saved[name] for name in saved}, found)


def outputs_of(export: Path) -> Outputs:
    """Outputs of every ExecuTorch artifact for the same random inputs, by file and name."""
    found: Outputs = {}
    for entry in read_manifest(export).artifacts:
        if entry.metadata.runtime == RUNTIME:
            specs = entry.metadata.inputs
            feeds = {spec.name: random_array(spec.shape, np.dtype(spec.dtype)) for spec in specs}
            outputs = open_session(export / entry.path).execute(feeds)
            # The next inference writes over them.
            found |= {
                f"{entry.path} {name}": np.array(value, np.float32)
                for name, value in outputs.items()
            }
    return found


def compare(saved: Outputs, found: Outputs) -> int:
    """Prints each difference; 1 where one is too large."""
    print(f"{RUNTIME} {version(RUNTIME)}")
    worst = 0
    for name, value in saved.items():
        difference = float(np.abs(value - found[name]).max())
        relative = difference / float(np.abs(value).max())
        is_wrong = relative > 0
        worst |= is_wrong
        print(f"{name}: {difference:.3g} ({relative:.2%}){', too much' if is_wrong else ''}")
    return worst


if __name__ == "__main__":
    sys.exit(main())
