from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from sqsam_deploy.datasets import bundled_dataset
from sqsam_deploy.folding import FoldedModel, example_inputs, fold
from sqsam_deploy.model.config import NANO, PAPER, RELEASE_2023_12, ModelConfig
from sqsam_deploy.model.description import default_inputs
from sqsam_deploy.model.network import SqueezeSAM
from sqsam_deploy.prompts import Prompt, encode_prompt
from tests.folding.norms import harden, relative_difference

full = pytest.mark.full


def _hard_model(config: ModelConfig, seed: int = 0) -> SqueezeSAM:
    torch.manual_seed(seed)
    model = SqueezeSAM(config)
    harden(model, seed)
    return model


def _prompts(width: int, height: int) -> list[Prompt]:
    clicks = np.array([[width / 2, height / 2], [width / 4, height / 3]], np.float32)
    box = (width * 0.2, height * 0.1, width * 0.9, height * 0.8)
    labels = np.array([1, 0])
    return [Prompt(clicks, labels), Prompt(box=box), Prompt(clicks, labels, box), Prompt()]


def _photos() -> list[Path]:
    return [record.path for record in bundled_dataset("sample")]


def _real_inputs(photo: Path, prompt_index: int, config: ModelConfig) -> list[Tensor]:
    image = Image.open(photo).convert("RGB")
    prompt = _prompts(*image.size)[prompt_index]
    encoded = encode_prompt(prompt, (image.height, image.width), config)
    square = image.resize((config.image_size, config.image_size), Image.Resampling.BILINEAR)
    pixels = torch.from_numpy(np.array(square)).permute(2, 0, 1)
    values = pixels, encoded.prompt_maps, encoded.point_coords, encoded.point_labels
    return [torch.as_tensor(value).float().unsqueeze(0) for value in values]


@torch.no_grad()
def _differences(model: SqueezeSAM, folded: FoldedModel, inputs: list[Tensor]) -> list[float]:
    taken = inputs[: len(default_inputs(model.config))]
    expected, actual = model(*inputs), folded.network(*taken)
    return [relative_difference(a, e) for a, e in zip(actual, expected, strict=True)]


@pytest.mark.parametrize(
    ("config", "photos"),
    [
        (NANO, 6),
        pytest.param(RELEASE_2023_12, 2, marks=full),
        pytest.param(PAPER, 2, marks=full),
    ],
    ids=lambda value: getattr(value, "name", str(value)),
)
def test_equals_the_original_on_real_photos(config: ModelConfig, photos: int) -> None:
    model = _hard_model(config)
    folded = fold(model)
    for index, photo in enumerate(_photos()[:photos]):
        masks, ious = _differences(model, folded, _real_inputs(photo, index % 4, config))
        assert masks < 1e-4
        assert ious < 1e-4


def _small_release() -> SqueezeSAM:
    """The release's structure at a sixteenth of its size, so that it is always tested."""
    config = ModelConfig(
        name="small",
        image_size=32,
        patch_size=2,
        widths=(16, 24, 20, 32),
        block_order="conv-relu-bn",
        upsampling="linear-shuffle",
        patch_norm="group",
        late_fusion=False,
        map_order="box-clicks",
        click_radius=2,
        first_mask=1,
    )
    return _hard_model(config, seed=3)


@pytest.mark.parametrize("prompt_index", range(4))
def test_norms_behind_relu_are_exact_on_real_photos(prompt_index: int) -> None:
    model = _small_release()
    inputs = _real_inputs(_photos()[prompt_index], prompt_index, model.config)
    assert max(_differences(model, fold(model), inputs)) < 1e-4


@pytest.mark.parametrize("make", [lambda: _hard_model(NANO), _small_release])
def test_no_batch_or_group_norm_is_left_and_every_norm_has_its_step(make) -> None:
    model = make()
    folded = fold(model)
    kinds = (nn.BatchNorm1d, nn.BatchNorm2d, nn.GroupNorm)
    assert not any(isinstance(module, kinds) for module in folded.network.modules())
    norms = (*kinds, nn.LayerNorm)
    named = {path for path, module in model.named_modules() if isinstance(module, norms)}
    steps = {step.source: step for step in folded.steps}
    assert named <= set(steps)
    conv_path = {path for path in named if path.startswith(("encoder.", "decoder."))}
    kept = {path for path in conv_path if steps[path].kept}
    data_dependent = (
        {"encoder.patch_embedding.norm"} if model.config.patch_norm == "group" else set()
    )
    assert kept == data_dependent


@pytest.mark.parametrize("make", [lambda: _hard_model(NANO), _small_release])
def test_steps_name_modules_of_the_folded_network(make) -> None:
    folded = fold(make())
    targets = {target for step in folded.steps for target in step.into}
    assert targets
    for target in targets:
        folded.network.get_submodule(target)


def test_original_is_not_modified() -> None:
    model = _hard_model(NANO)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    fold(model)
    after = model.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[key], after[key]) for key in before)


@pytest.mark.parametrize("make", [lambda: _hard_model(NANO), _small_release])
def test_exports_with_static_shapes_and_without_norms(make) -> None:
    folded = fold(make())
    program = torch.export.export(folded.network, example_inputs(folded.config))
    names = {str(node.target) for node in program.graph.nodes if node.op == "call_function"}
    assert not {name for name in names if "batch_norm" in name or "group_norm" in name}
    shapes = [tuple(value.shape) for value in example_inputs(folded.config)]
    assert shapes == [spec.shape for spec in default_inputs(folded.config)]


def test_dead_weights_are_dropped() -> None:
    # 1x1 deepest map: queries' and keys' projections of three cross attentions (128 -> 64).
    parameters = sum(p.numel() for p in fold(_hard_model(NANO)).network.parameters())
    original = SqueezeSAM(NANO)
    before = sum(p.numel() for p in original.parameters())
    norms = (nn.BatchNorm2d,)
    scales = sum(m.weight.numel() for m in original.modules() if isinstance(m, norms))
    dead = 3 * 2 * (128 * 64 + 64)
    merged_bias = 3 * 64
    # The output tokens are a buffer now; the patch embedding had a bias before.
    tokens, patch_bias = 5 * 128, 16
    assert parameters == before - scales - dead - merged_bias - tokens - patch_bias
