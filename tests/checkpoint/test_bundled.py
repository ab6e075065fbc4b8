"""The weights that the package carries, by name."""

from pathlib import Path

import pytest

from sqsam_deploy.checkpoint import bundled_checkpoint, load_checkpoint
from sqsam_deploy.errors import CheckpointError, UsageError
from sqsam_deploy.runtimes import open_session
from sqsam_deploy.saliency import open_saliency


def test_without_a_name_it_is_paper() -> None:
    checkpoint = load_checkpoint()
    assert checkpoint.name == bundled_checkpoint("paper").name
    assert checkpoint.config.name == "paper"
    assert sum(p.numel() for p in checkpoint.model.parameters()) == pytest.approx(12.5e6, rel=0.01)


def test_nano_by_its_name() -> None:
    checkpoint = load_checkpoint("nano")
    assert checkpoint.config.name == "nano"
    assert checkpoint.license
    assert open_session(Path("nano")).metadata.weights_sha256 == checkpoint.sha256


@pytest.mark.parametrize("opened", [load_checkpoint, open_session, open_saliency])
def test_an_unknown_name_lists_the_names(opened) -> None:
    with pytest.raises(UsageError, match=r"'papr': choose paper, nano, saliency") as raised:
        opened(Path("papr"))
    assert raised.value.exit_code == 2


def test_a_file_without_a_suffix_is_a_file(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").write_bytes(bundled_checkpoint("nano").read_bytes())
    assert load_checkpoint(Path("mine")).sha256 == load_checkpoint("nano").sha256


def test_the_saliency_network_takes_no_prompts() -> None:
    with pytest.raises(CheckpointError, match="no prompts"):
        load_checkpoint("saliency")
