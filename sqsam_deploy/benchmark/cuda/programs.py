"""A case as something that can be called: weights and inputs on the device, in its precision."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sqsam_deploy.benchmark.cuda.grid import Case
from sqsam_deploy.benchmark.cuda.timing import Call
from sqsam_deploy.benchmark.random_network import random_network
from sqsam_deploy.model.config import ModelConfig, preset

DTYPES = {
    "fp32": torch.float32,
    "tf32": torch.float32,
    "fp16": torch.float16,
    "bf16": torch.bfloat16,
}
#: Calls before a graph is captured: cuDNN chooses its kernels in them.
_BEFORE_CAPTURE = 3


@dataclass(frozen=True)
class Peer:
    """Another network, measured beside the preset: eager, one image.

    Attributes:
        name: Its paper's name.
        scope: "image encoder" or "whole network".
        input_size: Side of its square input.
        build: Makes it, for a side of the input, on torch's default device.
    """

    name: str
    scope: str
    input_size: int
    build: Callable[[int], nn.Module]


@dataclass(frozen=True)
class Program:
    """A case, ready to run. Call it inside `precision_of(case)`; `peer` is None for the preset."""

    case: Case
    call: Call
    peer: Peer | None = None


def build_program(preset_name: str, case: Case, device: torch.device) -> Program:
    """Puts a preset with random weights and inputs on the device.

    Raises:
        RuntimeError: The device has no room, or cannot do what the case asks for.
    """
    memory_format = torch.channels_last if case.channels_last else torch.contiguous_format
    dtype = DTYPES[case.precision]
    network = random_network(preset_name).to(device, dtype)
    network.to(memory_format=memory_format)  # type: ignore[call-overload]
    inputs = random_inputs(preset(preset_name), case.batch, device, dtype, memory_format)
    function = torch.compile(network, dynamic=False) if case.mode == "compiled" else network

    @torch.inference_mode()
    def call() -> object:
        return function(*inputs)

    return Program(case, _capture(call) if case.mode == "cuda-graph" else call)


def build_peer(peer: Peer, case: Case, device: torch.device) -> Program:
    """Puts another network with random weights and a random image on the device.

    Raises:
        RuntimeError: The device has no room.
    """
    dtype = DTYPES[case.precision]
    torch.manual_seed(0)
    with device:
        network = peer.build(peer.input_size).to(dtype)
        image = torch.rand(case.batch, 3, peer.input_size, peer.input_size, dtype=dtype)

    @torch.inference_mode()
    def call() -> object:
        return network(image)

    return Program(case, call, peer)


def random_inputs(
    config: ModelConfig,
    batch: int,
    device: torch.device,
    dtype: torch.dtype,
    memory_format: torch.memory_format,
) -> tuple[Tensor, ...]:
    """Pixels, prompt maps and points of the right ranges: NxCxSxS, NxPx2 and NxP."""
    torch.manual_seed(0)
    size, points = config.image_size, config.max_points
    image = torch.randint(0, 256, (batch, 3, size, size))
    maps = torch.randint(0, 2, (batch, 2, size, size)) * 255
    coords = torch.rand(batch, points, 2) * size
    labels = torch.ones(batch, points)
    pictures = (t.to(device, dtype).contiguous(memory_format=memory_format) for t in (image, maps))
    return (*pictures, coords.to(device, dtype), labels.to(device, dtype))


def _capture(call: Call) -> Call:
    """Records the kernels of one call; replaying them costs the host one launch."""
    side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(_BEFORE_CAPTURE):
            call()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        outputs = call()

    def replay(_weights_and_inputs: Call = call) -> object:
        graph.replay()
        return outputs

    return replay


@contextmanager
def precision_of(case: Case) -> Iterator[None]:
    """TF32 products are a setting of the process, not of the tensors."""
    matmul, convolution = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, convolution.allow_tf32
    matmul.allow_tf32 = convolution.allow_tf32 = case.precision == "tf32"
    try:
        yield
    finally:
        matmul.allow_tf32, convolution.allow_tf32 = before
