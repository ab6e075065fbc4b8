"""Pairs of files as the exporters of the SAM family write them, whose right answer is known.

Encoders carry the photo's brightness in the embedding. Decoders answer with what is bright inside
the box, or inside a disc at each click. So a photo that is laid into the input otherwise than the
clicks are, or masks that are laid back otherwise, show as a wrong answer.
"""

import warnings
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

SIZE = 256
PATCH = 16
RADIUS = 80.0

_MEAN = torch.tensor([123.675, 116.28, 103.53])
_STD = torch.tensor([58.395, 57.12, 57.375])


class Encoder(nn.Module):
    """Normalized planes, 1x3xSxS, to the embedding, 1x256xS/16xS/16: brightness in 0..1."""

    def forward(self, image: Tensor) -> Tensor:
        pixels = image * _STD.view(1, 3, 1, 1) + _MEAN.view(1, 3, 1, 1)
        return functional.pixel_unshuffle(pixels.mean(1, keepdim=True) / 255, PATCH)


class PixelEncoder(Encoder):
    """hxwx3 in 0..255, normalized and padded inside (samexporter with --use-preprocess)."""

    def forward(self, image: Tensor) -> Tensor:
        planes = ((image - _MEAN) / _STD).permute(2, 0, 1)
        height, width = planes.shape[-2:]
        padded = functional.pad(planes, (0, SIZE - width, 0, SIZE - height))
        return super().forward(padded[None])


class UnitEncoder(Encoder):
    """1x3xHxW in 0..1, stretched inside (EfficientSAM)."""

    def forward(self, image: Tensor) -> Tensor:
        square = functional.interpolate(image, (SIZE, SIZE), mode="bilinear")
        mean, std = (_MEAN / 255).view(1, 3, 1, 1), (_STD / 255).view(1, 3, 1, 1)
        return super().forward((square - mean) / std)


class Drawing(nn.Module):
    """Embedding and points, 1xNx2 and 1xN, to 4 masks, 1x4xS/4xS/4, and their scores, 1x4.

    The answer to one prompt is the third mask, that to several the first, though its score is the
    highest always; the others are empty or full.
    """

    def forward(self, embedding: Tensor, coords: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        bright = functional.avg_pool2d(functional.pixel_shuffle(embedding, PATCH), 4)[0, 0]
        side = SIZE // 4
        centers = 4 * torch.arange(side) + 1.5
        # The published graphs add half a pixel to every point themselves.
        x = coords[0, :, 0].view(-1, 1, 1)
        y = coords[0, :, 1].view(-1, 1, 1)
        kind = labels[0].view(-1, 1, 1)
        disc = ((centers - x) ** 2 + (centers.view(-1, 1) - y) ** 2 <= RADIUS**2).float()
        below = ((centers >= x) & (centers.view(-1, 1) >= y)).float()
        above = ((centers <= x) & (centers.view(-1, 1) <= y)).float()
        clicked = (disc * (kind == 1)).amax(0)
        refused = (disc * (kind == 0)).amax(0)
        box = (below * (kind == 2)).amax(0) * (above * (kind == 3)).amax(0)
        chosen = torch.maximum(clicked, box) * (1 - refused) * (bright > 0.5)
        answer = 20 * chosen - 10
        masks = torch.stack([answer, answer.abs(), answer, -answer.abs()])[None]
        return masks, torch.tensor([[0.99, 0.2, 0.8, 0.3]]) + 0 * masks.mean()


def to_photo(masks: Tensor, size: Tensor) -> Tensor:
    """1xMxsxs to 1xMxHxW: to the square, without the padding, to the photo."""
    square = functional.interpolate(masks, (SIZE, SIZE), mode="bilinear", align_corners=False)
    scale = SIZE / size.float().max()
    inner = torch.floor(scale * size.float() + 0.5).to(torch.int64)
    cut = square[..., : inner[0], : inner[1]]
    whole = size.to(torch.int64)
    return functional.interpolate(cut, (whole[0], whole[1]), mode="bilinear", align_corners=False)


class SamDecoder(Drawing):
    """segment_anything's exporter, and MobileSAM's: six inputs, three outputs."""

    def __init__(self, single: bool = False) -> None:
        super().__init__()
        self.single = single

    def forward(self, image_embeddings, point_coords, point_labels, mask_input, has, size):
        masks, scores = super().forward(image_embeddings, point_coords, point_labels)
        masks = masks + 0 * (mask_input.mean() * has)
        if self.single:
            masks, scores = masks[:, 2:3], scores[:, 2:3]
        return to_photo(masks, size), scores, masks


class EdgeDecoder(Drawing):
    """EdgeSAM: three inputs, scores first, `masks` at the decoder's resolution."""

    def forward(self, image_embeddings, point_coords, point_labels):
        masks, scores = super().forward(image_embeddings, point_coords, point_labels)
        return scores, masks


class NanoDecoder(Drawing):
    """NanoSAM: no size, scores first, `low_res_masks`."""

    def forward(self, image_embeddings, point_coords, point_labels, mask_input, has):
        masks, scores = super().forward(image_embeddings, point_coords, point_labels)
        return scores, masks + 0 * (mask_input.mean() * has)


class EfficientDecoder(Drawing):
    """EfficientSAM: batched points in pixels of the photo, 6 at most, three masks."""

    def answer(self, embedding, coords, labels, size):
        scale = SIZE / size.flip(0).float()
        masks, scores = super().forward(embedding, coords[:, 0] * scale, labels[:, 0])
        masks, scores = masks[:, 1:], scores[:, 1:]
        whole = functional.interpolate(masks, (size[0], size[1]), mode="bilinear")
        return whole[:, None], scores[:, None], masks

    def forward(self, image_embeddings, coords, labels, size):
        return self.answer(image_embeddings, coords, labels, size)


class EfficientWhole(EfficientDecoder):
    """EfficientSAM in one file."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = UnitEncoder()

    def forward(self, images, coords, labels):
        height, width = images.shape[2], images.shape[3]
        size = torch.stack([torch.as_tensor(height), torch.as_tensor(width)])
        return self.answer(self.encoder(images), coords, labels, size)


def export(module: nn.Module, inputs: dict[str, Tensor], outputs: list[str], path: Path, **free):
    """By torch's older exporter, which all of them use."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module.eval(),
            tuple(inputs.values()),
            str(path),
            input_names=list(inputs),
            output_names=outputs,
            dynamic_axes=free,
            opset_version=17,
            dynamo=False,
        )
    return path


_POINTS = {"point_coords": torch.rand(1, 5, 2), "point_labels": torch.ones(1, 5)}
_FREE = {"point_coords": {1: "points"}, "point_labels": {1: "points"}}
_MASK = {"mask_input": torch.zeros(1, 1, SIZE // 4, SIZE // 4), "has_mask_input": torch.zeros(1)}
_EMBEDDING = {"image_embeddings": torch.rand(1, PATCH**2, SIZE // PATCH, SIZE // PATCH)}
_SIZE = {"orig_im_size": torch.tensor([150.0, 225.0])}
_BATCHED = {
    "batched_point_coords": torch.rand(1, 1, 5, 2),
    "batched_point_labels": torch.ones(1, 1, 5),
}
_BATCHED_FREE = {"batched_point_coords": {2: "points"}, "batched_point_labels": {2: "points"}}
_IMAGES_FREE = {"batched_images": {0: "batch", 2: "height", 3: "width"}}
_SAM_OUTPUTS = ["masks", "iou_predictions", "low_res_masks"]
_EFFICIENT_OUTPUTS = ["output_masks", "iou_predictions"]


def planes_encoder(folder: Path, name: str = "image") -> Path:
    image = {name: torch.rand(1, 3, SIZE, SIZE)}
    return export(Encoder(), image, ["image_embeddings"], folder / "encoder.onnx")


def sam(folder: Path) -> list[Path]:
    inputs = _EMBEDDING | _POINTS | _MASK | _SIZE
    decoder = export(SamDecoder(), inputs, _SAM_OUTPUTS, folder / "decoder.onnx", **_FREE)
    return [planes_encoder(folder), decoder]


def samexporter(folder: Path) -> list[Path]:
    image, free = {"input_image": torch.rand(96, SIZE, 3)}, {"input_image": {0: "h", 1: "w"}}
    encoder = export(PixelEncoder(), image, ["image_embeddings"], folder / "e.onnx", **free)
    inputs = _EMBEDDING | _POINTS | _MASK | _SIZE
    decoder = export(SamDecoder(single=True), inputs, _SAM_OUTPUTS, folder / "d.onnx", **_FREE)
    return [encoder, decoder]


def edge_sam(folder: Path) -> list[Path]:
    inputs = _EMBEDDING | _POINTS
    decoder = export(EdgeDecoder(), inputs, ["scores", "masks"], folder / "d.onnx", **_FREE)
    return [planes_encoder(folder), decoder]


def nano_sam(folder: Path) -> list[Path]:
    inputs, outputs = _EMBEDDING | _POINTS | _MASK, ["iou_predictions", "low_res_masks"]
    decoder = export(NanoDecoder(), inputs, outputs, folder / "decoder.onnx", **_FREE)
    return [planes_encoder(folder), decoder]


def efficient_sam(folder: Path) -> list[Path]:
    image = {"batched_images": torch.rand(1, 3, 100, 150)}
    encoder = export(UnitEncoder(), image, ["image_embeddings"], folder / "e.onnx", **_IMAGES_FREE)
    inputs = _EMBEDDING | _BATCHED | {"orig_im_size": torch.tensor([150, 225])}
    decoder = export(
        EfficientDecoder(), inputs, _EFFICIENT_OUTPUTS, folder / "d.onnx", **_BATCHED_FREE
    )
    return [encoder, decoder]


def efficient_sam_whole(folder: Path) -> list[Path]:
    inputs = {"batched_images": torch.rand(1, 3, 100, 150)} | _BATCHED
    free = _IMAGES_FREE | _BATCHED_FREE
    path = folder / "whole.onnx"
    return [export(EfficientWhole(), inputs, _EFFICIENT_OUTPUTS, path, **free)]


FORMS = {
    form.__name__: form
    for form in (sam, samexporter, edge_sam, nano_sam, efficient_sam, efficient_sam_whole)
}
