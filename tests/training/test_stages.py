"""A recipe in stages: a small network, widened, deepened, trained on; each a run of its own too."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from sqsam_deploy.checkpoint import load_checkpoint
from sqsam_deploy.errors import UsageError
from sqsam_deploy.model.config import NANO, PRESETS
from sqsam_deploy.training.growth import new_parts, widened
from sqsam_deploy.training.log import read_rows
from sqsam_deploy.training.recipe import RECIPES, TrainingRecipe, read_shares, stages
from sqsam_deploy.training.session import plan_stages
from tests.commands import run_command

TINY = replace(
    NANO, name="t", image_size=32, widths=(4, 6, 8, 16), num_heads=2, transformer_depth=1
)
WIDE = replace(TINY, name="t-wide", image_size=64, patch_size=4, widths=(6, 8, 10, 32))
DEEP = replace(WIDE, name="t-deep", image_size=128, widths=(4, 6, 8, 10, 32))


@pytest.fixture
def tiny_recipes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stages of `paper` for networks of a few thousand parameters."""
    presets = {"nano": TINY, "paper-512": WIDE, "paper-fit": DEEP, "paper": DEEP}
    for config in presets.values():
        monkeypatch.setitem(PRESETS, config.name, config)
    for name, config in presets.items():
        plan = RECIPES[name]
        assert isinstance(plan, TrainingRecipe)
        optimization = replace(plan.optimization, samples=16, batch_size=4, warmup_samples=4)
        if name == "paper-fit":
            optimization = replace(optimization, trained=new_parts(DEEP))
        small = replace(plan, preset=config.name, optimization=optimization, photo_side=128)
        monkeypatch.setitem(RECIPES, name, small)


def _train(photos: Path, output: Path, *words: object) -> None:
    given = ("--data", photos, "--output", output, "--cache", output.parent / "cache")
    given += ("--device", "cpu", "--workers", 0, "--validate-every", 2, "--precision", "fp32")
    assert run_command("train", *given, *words).code == 0


def test_all_stages_then_one_of_them_alone(
    photo_folder: Path, tmp_path: Path, tiny_recipes: None
) -> None:
    whole = tmp_path / "whole"
    _train(photo_folder, whole, "--preset", "paper")
    made = {
        folder.name: load_checkpoint(folder / "weights.safetensors")
        for folder in (whole / "nano", whole / "paper-512", whole / "paper-fit", whole)
    }
    presets = [checkpoint.config.name for checkpoint in made.values()]
    assert presets == ["t", "t-wide", "t-deep", "t-deep"]
    # The third stage moved only what is new.
    old, fitted = (made[n].model.state_dict() for n in ("paper-512", "paper-fit"))
    assert torch.equal(
        old["encoder.levels.1.conv.0.conv.weight"], fitted["encoder.levels.2.conv.0.conv.weight"]
    )
    assert torch.equal(
        old["encoder.levels.1.conv.0.norm.running_mean"],
        fitted["encoder.levels.2.conv.0.norm.running_mean"],
    )
    assert torch.equal(old["mask_tokens"], fitted["mask_tokens"])
    # The last one moved everything but the norms' statistics.
    last = made["whole"].model.state_dict()
    assert not torch.equal(fitted["mask_tokens"], last["mask_tokens"])
    for name in last:
        if "running" in name:
            assert torch.equal(fitted[name], last[name]), name
    assert "encoder_error" in read_rows(whole / "paper-fit" / "log.csv")[0].values
    # The same stage by itself, and the whole run started again.
    alone = tmp_path / "alone"
    words = ("--preset", "paper", "--grow-from", whole / "paper-512" / "weights.safetensors")
    _train(photo_folder, alone, *words)
    assert not (alone / "nano").exists()
    before = load_file(whole / "weights.safetensors")
    assert all(
        torch.equal(before[k], v) for k, v in load_file(alone / "weights.safetensors").items()
    )
    _train(photo_folder, whole, "--preset", "paper")
    assert all(
        torch.equal(before[k], v) for k, v in load_file(whole / "weights.safetensors").items()
    )


def test_a_grown_run_starts_where_the_small_network_stopped(
    photo_folder: Path, tmp_path: Path, tiny_recipes: None
) -> None:
    """The first row of the log holds the scores before the first step: those of the widened one."""
    _train(photo_folder, tmp_path / "n", "--preset", "nano")
    small = tmp_path / "n" / "weights.safetensors"
    _train(photo_folder, tmp_path / "w", "--preset", "paper-512", "--grow-from", small)
    rows = read_rows(tmp_path / "w" / "log.csv")
    assert [row.step for row in rows] == [0, 2, 4]
    assert 0 <= rows[0].values["val_miou_box"] <= 1
    weights = load_checkpoint(small).model.state_dict()
    assert set(widened(weights, TINY, WIDE, 0)) == set(weights)


def test_your_own_photos_move_the_decoder_and_nothing_else(
    photo_folder: Path, tmp_path: Path
) -> None:
    own = tmp_path / "own.toml"
    own.write_text('base = "fine-tune"\nmixes = [1.0]\n')
    words = ("--initial-weights", "nano", "--samples", 8, "--batch-size", 4, "--license", "mine")
    _train(photo_folder, tmp_path / "run", "--preset", own, *words)
    tuned = load_checkpoint(tmp_path / "run" / "weights.safetensors")
    assert tuned.config == NANO
    before, after = load_checkpoint("nano").model.state_dict(), tuned.model.state_dict()
    moved = {name.split(".")[0] for name in after if not torch.equal(before[name], after[name])}
    assert moved == {"decoder", "transformer", "mask_head", "iou_token", "mask_tokens"}
    assert not any("running" in n and not torch.equal(before[n], after[n]) for n in after)


def test_fine_tuning_that_spoils_the_weights_keeps_those_that_it_began_with(
    photo_folder: Path, tmp_path: Path
) -> None:
    words = ("--initial-weights", "nano", "--samples", 8, "--batch-size", 4, "--learning-rate", 9)
    _train(photo_folder, tmp_path / "run", *words)
    tuned = load_file(tmp_path / "run" / "weights.safetensors")
    before = load_checkpoint("nano").model.state_dict()
    floats = [name for name, value in before.items() if value.is_floating_point()]
    assert all(torch.equal(before[name].half(), tuned[name]) for name in floats)
    first, *_, last = read_rows(tmp_path / "run" / "log.csv")
    scores = ("val_miou_1_click", "val_miou_3_clicks", "val_miou_box")
    assert [first.values[name] for name in scores] == [last.values[name] for name in scores]
    with safe_open(tmp_path / "run" / "weights.safetensors", framework="pt") as file:
        assert file.metadata()["mix"] == "0.0"


def test_fine_tuning_starts_from_paper() -> None:
    (stage,) = plan_stages("fine-tune", Path("run"), None, None)
    assert (stage.source, stage.output) == ("paper", Path("run"))


def test_stages_of_paper_follow_from_each_other() -> None:
    assert stages("paper") == ["nano", "paper-512", "paper-fit", "paper"]
    planned = plan_stages("paper", Path("run"), None, Path("nano"))
    assert [stage.name for stage in planned] == ["paper-512", "paper-fit", "paper"]
    assert planned[1].source == Path("run/paper-512/weights.safetensors")
    fit = RECIPES["paper-fit"].optimization.trained
    assert fit == new_parts(PRESETS["paper"])


def test_shares_are_read_by_name(tmp_path: Path) -> None:
    path = tmp_path / "shares.toml"
    path.write_text('[shares]\nphotos = 3\n"a, b" = 0.5\n')
    assert read_shares(path) == (("photos", 3.0), ("a, b", 0.5))


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("shares = 3", "[shares]"),
        ("[share]\na = 1", "[shares]"),
        ("[shares]\nphotos = true", "photos"),
        ("[shares]\nphotos = -1", "photos"),
        ("[shares]\nphotos = nan", "photos"),
        ("[shares", "shares.toml"),
    ],
)
def test_shares_that_are_none_name_the_key(text: str, named: str, tmp_path: Path) -> None:
    (tmp_path / "shares.toml").write_text(text)
    with pytest.raises(UsageError) as raised:
        read_shares(tmp_path / "shares.toml")
    assert named in str(raised.value)
