"""Both released sets of key names against what the public implementation returned."""

import runpy
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from sqsam_deploy.checkpoint import Checkpoint, load_checkpoint
from sqsam_deploy.prompts import Prompt, encode_prompt

CASES = ("clicks", "box", "box_click")


def _formula_state(reference: Path, key_names: str) -> dict[str, Tensor]:
    fill = runpy.run_path(str(reference / "formula_weights.py"))["formula_state_dict"]
    state = fill(reference / f"released_layout_{key_names}.json")
    return {key: torch.from_numpy(np.asarray(value)) for key, value in state.items()}


@pytest.fixture(scope="module", params=["a", "b"])
def key_names(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def checkpoint(
    key_names: str, shared: Path, tmp_path_factory: pytest.TempPathFactory
) -> Checkpoint:
    path = tmp_path_factory.mktemp("released") / f"released_{key_names}.pt"
    torch.save({"model": _formula_state(shared / "reference", key_names)}, path)
    return load_checkpoint(path)


def _prompt(points: np.ndarray, labels: np.ndarray) -> Prompt:
    """The public code takes a box as two leading points with labels 2 and 3."""
    has_box = labels[0] == 2
    clicks = points[2:] if has_box else points
    box = tuple(float(v) for v in points[:2].flatten()) if has_box else None
    return Prompt(clicks, np.ones(len(clicks), np.int64), box)


def _stretched(image: Tensor, size: int) -> Tensor:
    """1x3xHxW in 0..255 -> the square, as the release resizes: bilinear, no antialias."""
    return F.interpolate(image, (size, size), mode="bilinear", align_corners=False)


@pytest.mark.parametrize("case", CASES)
@torch.no_grad()
def test_golden_outputs_are_reproduced(
    case: str, key_names: str, checkpoint: Checkpoint, shared: Path
) -> None:
    golden = np.load(shared / "reference" / f"golden_released_{key_names}.npz")
    image = torch.from_numpy(golden["image"]).float().unsqueeze(0)
    prompt = _prompt(golden[f"{case}/points"][0, 0], golden[f"{case}/labels"][0, 0])
    encoded = encode_prompt(prompt, (image.shape[2], image.shape[3]), checkpoint.config)
    low_res, iou = checkpoint.model(
        _stretched(image, checkpoint.config.image_size),
        torch.from_numpy(encoded.prompt_maps).float().unsqueeze(0),
        torch.from_numpy(encoded.point_coords).unsqueeze(0),
        torch.from_numpy(encoded.point_labels).unsqueeze(0),
    )
    if key_names == "a":
        order = iou[0].argsort(descending=True)
        low_res, iou = low_res[:, order], iou[:, order]
        expected = torch.from_numpy(golden[f"{case}/low_res"][0])
        torch.testing.assert_close(low_res[:, :, ::4, ::4], expected, atol=1e-4, rtol=0)
    masks = F.interpolate(low_res, image.shape[2:], mode="bicubic", align_corners=False)
    expected_masks = torch.from_numpy(golden[f"{case}/masks"][0])
    torch.testing.assert_close(masks, expected_masks, atol=1e-4, rtol=0)
    torch.testing.assert_close(iou, torch.from_numpy(golden[f"{case}/iou"][0]), atol=1e-4, rtol=0)


@pytest.mark.parametrize("case", CASES)
def test_early_fusion_channels_match_the_release(case: str, shared: Path) -> None:
    golden = np.load(shared / "reference" / "golden_released_b.npz")
    from sqsam_deploy.model.config import RELEASE_2023_12

    prompt = _prompt(golden[f"{case}/points"][0, 0], golden[f"{case}/labels"][0, 0])
    maps = encode_prompt(prompt, golden["image"].shape[1:], RELEASE_2023_12).prompt_maps // 255
    assert maps.sum(axis=(1, 2)).tolist() == golden[f"{case}/fused_prompt_sums"][0].tolist()
    np.testing.assert_array_equal(maps[:, ::8, ::8], golden[f"{case}/fused"][0, 3:])


def test_preset_is_found(checkpoint: Checkpoint) -> None:
    assert checkpoint.config.name == "release-2023-12"
    assert not checkpoint.model.training


def test_both_sets_of_key_names_hold_the_same_tensors(shared: Path) -> None:
    from sqsam_deploy.checkpoint.key_names import with_own_keys

    states = [
        with_own_keys(_formula_state(shared / "reference", name), Path(name)) for name in "ab"
    ]
    assert len(states[0]) == 377
    shapes = [{key: value.shape for key, value in state.items()} for state in states]
    assert shapes[0] == shapes[1]
