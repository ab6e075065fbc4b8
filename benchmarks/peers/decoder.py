"""Writes SAM's mask decoder by its own exporter, random weights, for what one click costs a peer.

    python benchmarks/peers/decoder.py --output DIR
    sqsam-bench artifacts --peer SAM=DIR/encoder.onnx+DIR/decoder.onnx --threads 2

MobileSAM and NanoSAM have the same decoder. The encoder is a stand-in that only moves pixels, so
that the pair can be run: its row says nothing. Needs the extra `peers`.
"""

import argparse
import sys
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

sys.path.insert(0, str(Path(__file__).parent))
from networks import define_torchvision_schemas

SIDE, PATCH, CHANNELS = 1024, 16, 256


class StandIn(nn.Module):
    """An encoder that computes nothing."""

    def forward(self, image: Tensor) -> Tensor:
        """1x3xSxS to an embedding of the right shape, 1x256xS/16xS/16."""
        return functional.pixel_unshuffle(image.mean(1, keepdim=True), PATCH)


def decoder() -> nn.Module:
    """SAM's prompt encoder and mask decoder (arXiv 2304.02643, appendix A) as one graph."""
    define_torchvision_schemas()
    from segment_anything import modeling
    from segment_anything.utils.onnx import SamOnnxModel

    torch.manual_seed(0)
    grid = SIDE // PATCH
    encoder = modeling.ImageEncoderViT(img_size=SIDE, embed_dim=32, depth=0, num_heads=2)
    network = modeling.Sam(
        encoder,
        modeling.PromptEncoder(CHANNELS, (grid, grid), (SIDE, SIDE), mask_in_chans=16),
        modeling.MaskDecoder(
            transformer_dim=CHANNELS,
            transformer=modeling.TwoWayTransformer(2, CHANNELS, 8, 2048),
        ),
    )
    graph: nn.Module = SamOnnxModel(network.eval(), return_single_mask=True)
    return graph


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--output", "-o", type=Path, required=True)
    folder = parser.parse_args().output
    folder.mkdir(parents=True, exist_ok=True)
    grid = SIDE // PATCH
    inputs = {
        "image_embeddings": torch.randn(1, CHANNELS, grid, grid),
        "point_coords": torch.randint(0, SIDE, (1, 5, 2)).float(),
        "point_labels": torch.randint(0, 4, (1, 5)).float(),
        "mask_input": torch.randn(1, 1, 4 * grid, 4 * grid),
        "has_mask_input": torch.tensor([1.0]),
        "orig_im_size": torch.tensor([1500.0, 2250.0]),
    }
    free = {"point_coords": {1: "num_points"}, "point_labels": {1: "num_points"}}
    masks = ["masks", "iou_predictions", "low_res_masks"]
    export(decoder(), inputs, masks, folder / "decoder.onnx", free)
    photo = {"image": torch.randn(1, 3, SIDE, SIDE)}
    export(StandIn(), photo, ["image_embeddings"], folder / "encoder.onnx", {})


def export(
    network: nn.Module,
    inputs: dict[str, Tensor],
    outputs: list[str],
    path: Path,
    free: dict[str, dict[int, str]],
) -> None:
    """Writes an ONNX file by the exporter that `segment_anything` was written for."""
    torch.onnx.export(
        network,
        tuple(inputs.values()),
        str(path),
        input_names=list(inputs),
        output_names=outputs,
        dynamic_axes=free,
        opset_version=17,
        dynamo=False,
    )


if __name__ == "__main__":
    main()
