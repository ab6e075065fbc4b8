"""The state of a run on disk."""

import resource
from pathlib import Path

import pytest
import torch

from sqsam_deploy.training.state import RunState, load_state, save_state


def test_a_full_disk_is_told_as_one_and_leaves_the_last_state(tmp_path: Path) -> None:
    """A limit on the size of files fails a write as a full disk does, in the middle of it."""
    weights = {"weight": torch.arange(100_000, dtype=torch.float32)}
    first = RunState(1, 2.0, "nano", weights, weights, 3, {})
    path = tmp_path / "last.pt"
    save_state(path, first)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        with pytest.raises(OSError, match="large"):
            save_state(path, RunState(2, 4.0, "nano", weights, weights, 6, {}))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert load_state(path).step == 1
    assert [file.name for file in tmp_path.iterdir()] == ["last.pt"]
