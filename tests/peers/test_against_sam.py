"""SAM's own predictor, with random weights, against its files in ONNX Runtime, mask by mask."""

import numpy as np
import pytest
import torch

from sqsam_deploy.datasets import bundled_dataset, load_annotated, subset
from sqsam_deploy.peers import open_peer, read_peer
from sqsam_deploy.prompts import Prompt
from tests.peers.exported import export

SIZE = 256


#: Definitions live as long as the object that made them.
LIBRARY = torch.library.Library("torchvision", "FRAGMENT")


@pytest.fixture(scope="module")
def sam():
    """SAM with an encoder of one layer for 256 x 256 pixels."""
    # A torchvision built for CUDA does not import beside a CPU-only torch without these.
    for schema in (
        "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
        "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    ):
        if not hasattr(torch.ops.torchvision, schema.partition("(")[0]):
            LIBRARY.define(schema)
    modeling = pytest.importorskip("segment_anything").modeling
    torch.manual_seed(3)
    encoder = modeling.ImageEncoderViT(
        img_size=SIZE, embed_dim=32, depth=1, num_heads=2, use_rel_pos=True, window_size=0
    )
    side = SIZE // 16
    prompts = modeling.PromptEncoder(256, (side, side), (SIZE, SIZE), mask_in_chans=16)
    transformer = modeling.TwoWayTransformer(2, 256, 8, 512)
    decoder = modeling.MaskDecoder(transformer_dim=256, transformer=transformer)
    network = modeling.Sam(encoder, prompts, decoder).eval()
    with torch.no_grad():
        # Random layers answer with next to nothing: the masks would all be one sign.
        for parameter in decoder.output_hypernetworks_mlps.parameters():
            parameter.mul_(4)
    return network


@pytest.fixture(scope="module", params=["multi", "single"])
def segmenter(request, sam, tmp_path_factory):
    """Its files by SAM's own exporter, which writes no encoder."""
    from segment_anything.utils.onnx import SamOnnxModel

    folder = tmp_path_factory.mktemp("sam")
    side = SIZE // 16
    inputs = {
        "image_embeddings": torch.randn(1, 256, side, side),
        "point_coords": torch.randint(0, SIZE, (1, 5, 2)).float(),
        "point_labels": torch.randint(0, 4, (1, 5)).float(),
        "mask_input": torch.randn(1, 1, 4 * side, 4 * side),
        "has_mask_input": torch.tensor([1.0]),
        "orig_im_size": torch.tensor([1500.0, 2250.0]),
    }
    free = {"point_coords": {1: "num_points"}, "point_labels": {1: "num_points"}}
    names = ["masks", "iou_predictions", "low_res_masks"]
    graph = SamOnnxModel(sam, return_single_mask=request.param == "single")
    decoder = export(graph, inputs, names, folder / "decoder.onnx", **free)
    photo = {"image": torch.randn(1, 3, SIZE, SIZE)}
    encoder = export(sam.image_encoder, photo, ["image_embeddings"], folder / "encoder.onnx")
    return request.param, open_peer(read_peer("SAM", [encoder, decoder]), threads=1)


@pytest.fixture(scope="module", params=[0, 1], ids=["photo0", "photo1"])
def photo(request):
    return load_annotated(subset(bundled_dataset("sample"), 2, seed=4).images[request.param]).image


def _prompts(image):
    height, width = image.shape[:2]
    click = np.array([[0.4 * width, 0.55 * height]], np.float32)
    clicks = np.array([[0.4 * width, 0.5 * height], [0.7 * width, 0.6 * height]], np.float32)
    box = (0.2 * width, 0.1 * height, 0.8 * width, 0.9 * height)
    yield "click", Prompt(click, np.array([1])), True
    yield "box", Prompt(box=box), True
    yield "two clicks", Prompt(clicks, np.array([1, 0])), False
    yield "box and click", Prompt(click, np.array([0]), box), False


def test_masks_are_those_of_sams_predictor(sam, segmenter, photo):
    from segment_anything import SamPredictor

    form, own = segmenter
    predictor = SamPredictor(sam)
    predictor.set_image(photo)
    prepared, image_hw = own.prepare(photo), photo.shape[:2]
    drawn = 0
    for name, prompt, multimask in _prompts(photo):
        masks, scores, low_res = predictor.predict(
            point_coords=prompt.point_coords if len(prompt.point_labels) else None,
            point_labels=prompt.point_labels if len(prompt.point_labels) else None,
            box=None if prompt.box is None else np.array(prompt.box),
            multimask_output=multimask,
        )
        if form == "single":
            best = [int(scores.argmax())]
            masks, scores, low_res = masks[best], scores[best], low_res[best]
        found = own.run(prepared, own.encode(prompt, image_hw))
        assert found.iou_predictions == pytest.approx(scores, abs=1e-4), name
        for index, mask in enumerate(masks):
            mine = own.mask(found, index, image_hw)
            assert (mine != mask).mean() < 1e-4, name
            assert 0 < mask.mean() < 1 or form == "single"
            drawn += 1
        rows, columns = found.low_res_masks.shape[1:]
        np.testing.assert_allclose(
            found.low_res_masks, low_res[:, :rows, :columns], atol=1e-3 * np.abs(low_res).max()
        )
    assert drawn == (4 if form == "single" else 8)
