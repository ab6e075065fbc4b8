import numpy as np
import pytest

from sqsam_deploy.benchmark import roofline


@pytest.fixture
def small(monkeypatch):
    """Kernels small enough for a test; the formula of their work is the same."""
    monkeypatch.setattr(roofline, "_MATRIX", 64)
    monkeypatch.setattr(roofline, "_CHANNELS", 16)
    monkeypatch.setattr(roofline, "_SIDE", 8)


def test_work_is_that_of_the_kernels():
    import torch

    from sqsam_deploy.benchmark.macs import count_work

    network, inputs = roofline._convolution()
    work = count_work(network.to("meta"), tuple(torch.empty_like(i, device="meta") for i in inputs))
    assert work.macs == roofline._CONVOLUTION_MACS


def test_kernels_run_and_compute_in_their_precision(small, tmp_path):
    import onnx

    from sqsam_deploy.runtimes.registry import runtimes_for

    kernels = roofline.build_peak_kernels(tmp_path)
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
