import pytest

from sqsam_deploy.benchmark.jobs import Job
from sqsam_deploy.benchmark.profile import take_profile
from sqsam_deploy.runtimes.onnx.profile import read_trace
from sqsam_deploy.runtimes.profiling import OTHERS, Event, add_up
from tests.benchmark.results import write_product


@pytest.fixture
def product(tmp_path):
    """A 256x256 product and an error function, in ONNX."""
    return write_product(tmp_path / "product.onnx", 256, "Erf(product)")


def test_kinds_are_added_up_and_the_rest_belongs_to_the_runtime():
    inference = [Event("conv", "D", 2.0), Event("conv", "D", 3.0), Event("add", "D", 1.0)]
    conv, between, add = add_up([inference] * 3, [8.0] * 3)
    assert (conv.operator, conv.calls, conv.milliseconds, conv.share) == ("conv", 2, 5.0, 5 / 8)
    assert (between.place, between.milliseconds) == ("runtime", 2.0)
    assert (add.operator, add.milliseconds) == ("add", 1.0)


def test_only_ten_kinds_are_listed_and_nothing_is_lost():
    inference = [Event(f"kind {index}", "D", float(index)) for index in range(1, 15)]
    costs = add_up([inference], [105.0])
    assert len(costs) == 11
    assert costs[-1].operator == OTHERS
    assert sum(cost.milliseconds for cost in costs) == pytest.approx(105.0)


def test_trace_counts_the_nodes_of_each_run_apart_and_not_the_first_two():
    def event(name, ts, dur, **args):
        return {"name": name, "ts": ts, "dur": dur, "args": args}

    node = {"op_name": "Conv", "provider": "CPUExecutionProvider"}
    trace = [
        step
        for run, dur in enumerate((9000, 8000, 1000, 1200))
        for step in (
            event("model_run", run * 10_000, dur),
            event("c_kernel_time", run * 10_000 + 5, dur - 400, **node),
        )
    ]
    profile = read_trace(trace)
    assert profile.total == pytest.approx(1.1)
    assert profile.operators[0].operator == "Conv"
    assert profile.operators[0].place == "CPU"
    assert profile.operators[0].milliseconds == pytest.approx(0.7)


def test_onnxruntime_profile_names_the_operators(product):
    profile = take_profile(Job(kind="plain", target=str(product), threads=1), count=3)
    kinds = {cost.operator: cost for cost in profile.operators}
    assert {"MatMul", "Erf"} <= kinds.keys()
    assert kinds["MatMul"].calls == 1
    assert sum(cost.share for cost in profile.operators) == pytest.approx(1, abs=0.2)


def test_executorch_profile_tells_delegated_operators_from_others(tmp_path):
    import torch
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower
    from torch import nn

    network = nn.Sequential(nn.Conv2d(4, 8, 3), nn.LayerNorm([8, 14, 14]), nn.Conv2d(8, 4, 3))
    program = torch.export.export(network.eval(), (torch.randn(1, 4, 16, 16),))
    lowered = to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()])
    path = tmp_path / "two.pte"
    path.write_bytes(lowered.to_executorch().buffer)
    profile = take_profile(Job(kind="plain", target=str(path), threads=1), count=3)
    places = {cost.operator: cost.place for cost in profile.operators}
    assert places["native_layer_norm"] == "outside delegates"
    convolutions = [c for c in profile.operators if c.operator.startswith("Convolution")]
    assert sum(cost.calls for cost in convolutions) == 2
    assert all(cost.place == "XNNPACK" for cost in convolutions)
    assert profile.delegate_calls == 2
