"""What a run takes from the processor and the allocator it finds."""

import pytest
import torch

from sqsam_deploy.training.processor import allocator_hint, fastest_precision


@pytest.mark.parametrize(
    ("device", "found", "expected"),
    [
        ("cpu", {"avx512_f": True, "avx512_bf16": False}, "fp32"),
        ("cpu", {"avx512_bf16": True}, "bf16"),
        ("cpu", {"amx_bf16": True}, "bf16"),
        ("cpu", {"architecture": "aarch64"}, "fp32"),
        ("cuda", {}, "bf16"),
    ],
)
def test_bf16_where_something_multiplies_it(
    device: str, found: dict[str, object], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: found)
    assert fastest_precision(device) == expected


def test_the_hint_names_what_to_set_and_only_where_it_helps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    hint = allocator_hint("cpu")
    assert hint is None or ("LD_PRELOAD=" in hint and "MALLOC_CONF=" in hint and "\n" not in hint)
    assert allocator_hint("cuda") is None
    monkeypatch.setattr("sys.platform", "darwin")
    assert allocator_hint("cpu") is None
