"""ONNX Runtime on a GPU, by its CUDA and its TensorRT provider, where they are installed."""

from pathlib import Path

import numpy as np

from sqsam_deploy.benchmark.cuda.timing import time_calls
from sqsam_deploy.errors import MissingDependencyError
from sqsam_deploy.runtimes.onnx.raw import OnnxNetwork

PROVIDERS = {"CUDA": "CUDAExecutionProvider", "TensorRT": "TensorrtExecutionProvider"}
_WARM_UP = 5


def provider_rounds(
    path: Path, provider: str, rounds: int, per_round: int
) -> tuple[tuple[float, ...], ...]:
    """Milliseconds of a network with its inputs and outputs in GPU memory.

    The time is the host's, from the call until the GPU is done: ONNX Runtime runs on a stream of
    its own, which torch's events do not see.

    Raises:
        MissingDependencyError: This onnxruntime has no such provider.
    """
    import onnxruntime
    import torch

    if PROVIDERS[provider] not in onnxruntime.get_available_providers():
        raise MissingDependencyError(
            f"this onnxruntime has no {provider} provider: pip install onnxruntime-gpu"
        )
    session = onnxruntime.InferenceSession(str(path), providers=[PROVIDERS[provider]])
    binding = session.io_binding()
    feeds = OnnxNetwork(path, threads=1).random_inputs()
    for item, value in zip(session.get_inputs(), feeds, strict=True):
        on_gpu = onnxruntime.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(value), "cuda", 0)
        binding.bind_ortvalue_input(item.name, on_gpu)
    for item in session.get_outputs():
        binding.bind_output(item.name, "cuda", 0)

    def call() -> None:
        session.run_with_iobinding(binding)
        binding.synchronize_outputs()

    clock = torch.device("cpu")
    time_calls(call, _WARM_UP, clock)
    return tuple(time_calls(call, per_round, clock) for _ in range(rounds))
