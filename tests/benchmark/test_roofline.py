import numpy as np
import onnx
import torch
from torch import nn

from sqsam_deploy.benchmark.macs import count_work
from sqsam_deploy.benchmark.roofline import KernelSizes, build_peak_kernels
from sqsam_deploy.runtimes.registry import runtimes_for

#: Kernels small enough for a test; the formula of their work is the same.
SMALL = KernelSizes(matrix=64, channels=16, side=8)


def test_work_is_that_of_the_kernels():
    """Four 3x3 convolutions that keep their map, and a product of square matrices, by hand."""
    with torch.device("meta"):
        layers = nn.Sequential(*(nn.Conv2d(128, 128, 3, padding=1) for _ in range(4)))
        work = count_work(layers, (torch.empty(1, 128, 128, 128),))
    assert KernelSizes().convolution_macs == work.macs
    assert KernelSizes().matrix_macs == 2048 * 2048 * 2048


def test_kernels_run_and_compute_in_their_precision(tmp_path):
    kernels = build_peak_kernels(tmp_path, SMALL)
    assert [(k.runtime, k.precision) for k in kernels] == [
        ("onnx", "fp32"),
        ("onnx", "int8"),
        ("executorch", "fp32"),
        ("executorch", "int8"),
    ]
    for kernel in kernels:
        network = runtimes_for(kernel.path)[0].raw_runner(kernel.path, threads=1)
        [output] = network.run(network.random_inputs())
        assert np.asarray(output).size in (64 * 64, 16 * 8 * 8)
    nodes = [node.op_type for node in onnx.load(kernels[1].path).graph.node]
    assert nodes == ["MatMulInteger"]
    # Weights of 8 bits take a quarter of the room.
    assert kernels[3].path.stat().st_size < kernels[2].path.stat().st_size
