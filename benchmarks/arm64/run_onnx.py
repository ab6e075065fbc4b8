"""Runs an .onnx in an emulated Python for `sqsam-parity outputs`; see run_executorch.cpp."""

import argparse
import platform
import sys
from pathlib import Path

import numpy as np
import onnxruntime

DTYPES = {"tensor(float)": np.float32, "tensor(uint8)": np.uint8, "tensor(int8)": np.int8}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    folder: Path = arguments.folder
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(arguments.model, options)
    print(f"{platform.machine()} onnxruntime {onnxruntime.__version__}", flush=True)
    for line in sys.stdin:
        feeds = {
            each.name: np.fromfile(folder / f"in-{i}.bin", DTYPES[each.type]).reshape(each.shape)
            for i, each in enumerate(session.get_inputs())
        }
        for i, value in enumerate(session.run(None, feeds)):
            value.tofile(folder / f"out-{i}.bin")
        print(line.strip(), flush=True)


if __name__ == "__main__":
    main()
