import itertools

import onnxruntime
import torch
from onnx_ir.serde import serialize_model

from sqsam_deploy.runtimes.onnx.passes import INT8_PASSES
from sqsam_deploy.runtimes.onnx.passes.own_zero_points import SeparateZeroPoints
from sqsam_deploy.runtimes.onnx.processor import this_one_saturates
from tests.runtimes.onnx.passes.graphs import outputs, rewritten, same, tiny_feeds, tiny_graph
from tests.tiny_network import snr_db


def test_no_weight_shares_its_zero_points() -> None:
    model = rewritten(tiny_graph(), SeparateZeroPoints())
    assert not SeparateZeroPoints()(model).modified
    assert same(outputs(tiny_graph(), tiny_feeds()), outputs(model, tiny_feeds()))


def test_the_option_for_exact_products_gives_the_same_outputs() -> None:
    """As the usual kernels where those are exact, and everywhere as operator by operator."""
    model = rewritten(tiny_graph(), *INT8_PASSES)
    content = serialize_model(model).SerializeToString()
    usual, exact = (_run(content, option) for option in "01")
    assert same(usual, exact) != this_one_saturates()
    expected = outputs(model, tiny_feeds())
    arrays = (map(torch.from_numpy, each) for each in zip(expected, exact, strict=True))
    assert min(itertools.starmap(snr_db, arrays)) > 30


def _run(content: bytes, exact_products: str) -> list:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.add_session_config_entry("session.x64quantprecision", exact_products)
    session = onnxruntime.InferenceSession(content, options, ["CPUExecutionProvider"])
    return session.run(None, tiny_feeds())
