"""Any wrappers around a network, in any order, leave its tensors and keys."""

from collections.abc import Callable
from pathlib import Path

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sqsam_deploy.checkpoint.unwrapping import find_network

STATE = {
    "encoder.stem.0.conv.weight": torch.ones(2),
    "mask_head.iou_mlp.out.bias": torch.ones(1),
    "iou_token": torch.zeros(1),
}

PREFIXES = ["module.", "_orig_mod.", "model.", "net.", "network.", "ema_model."]
CONTAINERS = ["model", "state_dict", "model_state_dict", "ema", "module", "average"]


def _prefixed(prefix: str) -> Callable[[dict[str, Tensor]], dict[str, object]]:
    return lambda state: {prefix + key: value for key, value in state.items()}


def _contained(name: str) -> Callable[[dict[str, Tensor]], dict[str, object]]:
    return lambda state: {"epoch": 3, name: state, "optimizer": {"state": {0: torch.ones(1)}}}


@settings(deadline=None)
@given(
    st.lists(st.sampled_from(PREFIXES), max_size=4),
    st.lists(st.sampled_from(CONTAINERS), max_size=3),
)
def test_wrappers_of_any_kind_and_order(prefixes: list[str], containers: list[str]) -> None:
    content: dict = STATE
    for prefix in prefixes:
        content = _prefixed(prefix)(content)
    for name in containers:
        content = _contained(name)(content)
    assert find_network(content, Path("x.pt")).tensors == STATE
