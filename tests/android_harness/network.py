"""Runs an artifact for another program: inputs and outputs as they are, on the standard streams."""

import math
import sys
from pathlib import Path

import numpy as np

from sqsam_deploy.runtimes import open_session


def main() -> None:
    session = open_session(Path(sys.argv[1]))
    source, target = sys.stdin.buffer, sys.stdout.buffer
    while True:
        feeds = {}
        for spec in session.metadata.inputs:
            size = math.prod(spec.shape) * np.dtype(spec.dtype).itemsize
            content = source.read(size)
            if len(content) < size:
                return
            feeds[spec.name] = np.frombuffer(content, spec.dtype).reshape(spec.shape).copy()
        outputs = session.execute(feeds)
        for spec in session.metadata.outputs:
            target.write(np.ascontiguousarray(outputs[spec.name], np.float32).tobytes())
        target.flush()


main()
