import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from sqsam_deploy.errors import ArtifactError, CheckpointError, DataError
from sqsam_deploy.model.description import config_of, describe_saliency
from sqsam_deploy.model.saliency import SALIENCY, SaliencyNet
from sqsam_deploy.networks.saliency import load_saliency
from sqsam_deploy.prompts.saliency import saliency_of_logits
from sqsam_deploy.runtimes.session import Session
from sqsam_deploy.saliency import open_saliency
from sqsam_deploy.saliency.opening import ArtifactSaliency


@pytest.fixture
def weights(tmp_path):
    torch.manual_seed(0)
    path = tmp_path / "saliency.safetensors"
    save_file(SaliencyNet().state_dict(), path, {"license": "CC0-1.0"})
    return path


def photo() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (90, 120, 3), np.uint8)


class Brightness(Session):
    """Says that bright is salient: 2x2 means of the first channel, minus 128."""

    def __init__(self) -> None:
        self.metadata = describe_saliency(
            SALIENCY, runtime="onnx", precision="fp32", weights_sha256="0" * 64
        )

    def execute(self, feeds):
        red = feeds["image"][0, 0].reshape(128, 2, 128, 2).mean(axis=(1, 3))
        return {"saliency_logits": red[None, None] - 128}


def test_weights_are_loaded_with_their_hash_and_license(weights):
    checkpoint = load_saliency(weights)
    assert checkpoint.license == "CC0-1.0"
    assert not checkpoint.model.training
    assert checkpoint.config == SALIENCY
    assert len(checkpoint.sha256) == 64


def test_heat_is_the_sigmoid_of_the_networks_logits_on_pillows_square(weights):
    saliency = open_saliency(weights).saliency_map(photo())
    square = np.asarray(Image.fromarray(photo()).resize((256, 256), Image.Resampling.BILINEAR))
    with torch.no_grad():
        network = load_saliency(weights).model
        logits = network(torch.tensor(square).permute(2, 0, 1)[None].float())
    expected = torch.sigmoid(logits)[0, 0].numpy()
    assert saliency.shape == (128, 128)
    assert np.abs(saliency - expected).max() <= 0.5 / 255 + 1e-5


def test_an_artifact_gives_saliency_of_the_photo_it_was_shown():
    image = np.zeros((60, 200, 3), np.uint8)
    image[:, 100:, 0] = 255
    saliency = ArtifactSaliency(Brightness()).saliency_map(image)
    assert saliency.shape == (128, 128)
    assert saliency[:, :60].max() == 0
    assert saliency[:, 68:].min() == 1


def test_a_saliency_artifact_is_no_segmentation_artifact():
    with pytest.raises(ArtifactError, match="is a saliency network"):
        config_of(Brightness().metadata)


def test_sigmoid_of_any_logit():
    logits = np.array([[-1e30, -5.0, 0.0, 5.0, 1e30]])
    expected = np.rint(255 / (1 + np.exp([[50, 5.0, 0.0, -5.0, -50]]))) / 255
    np.testing.assert_allclose(saliency_of_logits(logits), expected, atol=1e-6)


def test_weights_of_another_network_are_refused(tmp_path):
    path = tmp_path / "other.safetensors"
    save_file({"conv.weight": torch.zeros(3)}, path)
    with pytest.raises(CheckpointError, match=r"saliency.*lacks tensors"):
        load_saliency(path)


def test_weights_that_are_not_finite_are_refused(tmp_path, weights):
    state = SaliencyNet().state_dict()
    state["head.bias"] = torch.tensor([float("nan")])
    save_file(state, tmp_path / "nan.safetensors")
    with pytest.raises(CheckpointError, match="finite"):
        load_saliency(tmp_path / "nan.safetensors")


def test_what_is_no_image_is_refused(weights):
    with pytest.raises(DataError, match="HxWx3 uint8"):
        open_saliency(weights).saliency_map(np.zeros((4, 4), np.uint8))
