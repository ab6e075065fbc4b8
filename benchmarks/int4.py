"""The linear layers of a preset in int4 beside int8 and float: is int4 faster on this CPU?

    python benchmarks/int4.py --preset paper --rounds 20 --threads 1

No runtime here multiplies 4-bit weights in a convolution, so linear layers are all that int4 could
serve. ONNX Runtime: `QLinearMatMul` with int8 weights by column, `MatMulNBits` with blocks of 32
(computing in int8), `MatMul` in float32. ExecuTorch with XNNPACK, activations quantized as they
run: 8-bit weights by channel, 4-bit ones in groups of 32, float32. Weights and activations are
random; all variants of a layer take turns.
"""

import argparse
import statistics
import time
from collections import Counter
from collections.abc import Callable, Mapping

import numpy as np
import onnxruntime
import torch
from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
from executorch.exir import to_edge_transform_and_lower
from executorch.runtime import Runtime
from numpy.typing import ArrayLike
from onnx import ModelProto, TensorProto, helper, numpy_helper
from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer
from torch import Tensor, nn
from torchao.quantization import Int8DynamicActivationIntxWeightConfig, quantize_
from torchao.quantization.granularity import PerAxis, PerGroup

from sqsam_deploy._internal.upstream.executorch import set_threads
from sqsam_deploy.folding import example_inputs
from sqsam_deploy.model.config import PRESETS, ModelConfig
from sqsam_deploy.model.network import SqueezeSAM

Run = Callable[[], object]
#: Rows of activations, inputs and outputs of a linear layer.
Shape = tuple[int, int, int]
BLOCK = 32


def main() -> None:
    """Prints the milliseconds of every shape and of all linear layers together."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--preset", choices=list(PRESETS), default="paper")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    set_threads(options.threads)
    total: Counter[str] = Counter()
    for shape, count in linear_layers(PRESETS[options.preset]).items():
        variants = onnxruntime_variants(shape, options.threads) | executorch_variants(shape)
        times = in_turns(variants, options.rounds)
        print(f"{count} of {shape}:", ", ".join(f"{k} {v:.3f} ms" for k, v in times.items()))
        total.update({name: count * value for name, value in times.items()})
    for name, value in total.items():
        print(f"all linear layers, {name}: {value:.2f} ms")


def linear_layers(config: ModelConfig) -> Counter[Shape]:
    """How often each shape occurs in one inference."""
    found: Counter[Shape] = Counter()

    def count(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        assert isinstance(layer, nn.Linear)
        found[inputs[0][..., 0].numel(), layer.in_features, layer.out_features] += 1

    model = SqueezeSAM(config).eval()
    for module in model.modules():
        if isinstance(module, nn.Linear):
            module.register_forward_pre_hook(count)
    with torch.no_grad():
        model(*example_inputs(config))
    return found


def onnxruntime_variants(shape: Shape, threads: int) -> dict[str, Run]:
    """The layer in ONNX Runtime, by precision."""
    rows, inputs, outputs = shape
    random = np.random.default_rng(0)
    weight = random.normal(size=(inputs, outputs)).astype(np.float32)
    activations = random.normal(size=(rows, inputs)).astype(np.float32)
    plain = _model("MatMul", shape, {"weight": weight})
    int4 = MatMulNBitsQuantizer(plain, block_size=BLOCK, is_symmetric=True, accuracy_level=4)
    int4.process()
    int8 = _model(
        "QLinearMatMul",
        shape,
        {
            "x_scale": np.float32(0.03),
            "x_zero": np.uint8(128),
            "weight": np.clip(weight * 40, -127, 127).astype(np.int8),
            "w_scale": np.full(outputs, 1 / 40, np.float32),
            "w_zero": np.zeros(outputs, np.int8),
            "y_scale": np.float32(0.5),
            "y_zero": np.uint8(128),
        },
    )
    bytes_in = (activations * 32 + 128).clip(0, 255).astype(np.uint8)
    return {
        "ONNX Runtime fp32": _session(plain, activations, threads),
        "ONNX Runtime int8": _session(int8, bytes_in, threads),
        "ONNX Runtime int4": _session(int4.model.model, activations, threads),
    }


def _model(operator: str, shape: Shape, constants: Mapping[str, ArrayLike]) -> ModelProto:
    rows, inputs, outputs = shape
    kind = TensorProto.UINT8 if "x_zero" in constants else TensorProto.FLOAT
    graph = helper.make_graph(
        [helper.make_node(operator, ["x", *constants], ["y"])],
        "layer",
        [helper.make_tensor_value_info("x", kind, [rows, inputs])],
        [helper.make_tensor_value_info("y", kind, [rows, outputs])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


def _session(model: ModelProto, values: np.ndarray, threads: int) -> Run:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return lambda: session.run(None, {"x": values})


def executorch_variants(shape: Shape) -> dict[str, Run]:
    """The layer in ExecuTorch, by precision."""
    rows, inputs, outputs = shape
    schemes = {
        "fp32": None,
        "int8": Int8DynamicActivationIntxWeightConfig(torch.int8, PerAxis(0)),
        "int4": Int8DynamicActivationIntxWeightConfig(vars(torch)["int4"], PerGroup(BLOCK)),
    }
    values = torch.randn(rows, inputs)
    variants: dict[str, Run] = {}
    for precision, scheme in schemes.items():
        torch.manual_seed(0)
        layer = nn.Sequential(nn.Linear(inputs, outputs)).eval()
        if scheme is not None:
            quantize_(layer, scheme)
        lowered = to_edge_transform_and_lower(
            torch.export.export(layer, (values,)), partitioner=[XnnpackPartitioner()]
        )
        variants[f"ExecuTorch {precision}"] = _method(lowered.to_executorch().buffer, values)
    return variants


def _method(program_bytes: bytes, values: Tensor) -> Run:
    # A method points into its program's memory, and the program into these bytes.
    program = Runtime.get().load_program(program_bytes)
    method = program.load_method("forward")
    assert method is not None
    return lambda: (method.execute([values]), program, program_bytes)


def in_turns(variants: dict[str, Run], rounds: int) -> dict[str, float]:
    """Medians in milliseconds; every round runs each variant ten times in a row."""
    times: dict[str, list[float]] = {name: [] for name in variants}
    for _ in range(rounds):
        for name, run in variants.items():
            run()
            start = time.perf_counter()
            for _ in range(10):
                run()
            times[name].append(100 * (time.perf_counter() - start))
    return {name: statistics.median(values) for name, values in times.items()}


if __name__ == "__main__":
    main()
