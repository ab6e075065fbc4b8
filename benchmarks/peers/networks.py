"""The SAM family a user would consider, from maintained packages, with random weights.

Where a package holds the image encoder only, the encoder is measured, without neck and mask
decoder: a difference in the peer's favor.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class PeerNetwork:
    """How one peer is built.

    Attributes:
        name: Its paper's name.
        key: What it is called on the command line and in file names.
        scope: "image encoder" or "whole network".
        input_size: Side of its square input, as its authors run it.
        package: What it is built from.
        build: Makes it, for a side of the input.
        large: Needs gigabytes to build and to run, so it is built only when it is named.
    """

    name: str
    key: str
    scope: str
    input_size: int
    package: str
    build: Callable[[int], nn.Module]
    large: bool = False


class LastMap(nn.Module):
    """A timm backbone that returns its deepest map."""

    def __init__(self, backbone: Any) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, image: Tensor) -> Tensor:
        """Nx3xSxS to the deepest map or tokens."""
        features: Tensor = self.backbone.forward_features(image)
        return features


def _timm(model: str, *, fixed_size: bool = False) -> Callable[[int], nn.Module]:
    """A timm model by its name; `fixed_size` where position embeddings are made for one size."""

    def build(size: int) -> nn.Module:
        define_torchvision_schemas()
        import timm
        from timm.layers.config import set_fused_attn

        # Attention as its products: the exporters take it apart anyway, and they can be counted.
        set_fused_attn(False)
        sized: dict[str, Any] = {"img_size": size} if fixed_size else {}
        return LastMap(timm.create_model(model, num_classes=0, **sized)).eval()

    return build


def _fastsam(size: int) -> nn.Module:
    define_torchvision_schemas()
    from ultralytics.nn.tasks import SegmentationModel

    found: Any = SegmentationModel("yolov8x-seg.yaml", ch=3, nc=1, verbose=False).eval()
    found.fuse(verbose=False)
    # As its own exporter sets it: boxes and mask coefficients in one tensor, no host code.
    found.model[-1].export, found.model[-1].format = True, "onnx"
    network: nn.Module = found
    return network


def define_torchvision_schemas() -> None:
    """Lets PyPI's torchvision, built for CUDA, be imported beside a torch for the CPU.

    Its import registers fake kernels for two operators that only its CUDA library defines.
    """
    if torch.version.cuda is not None:
        return
    library: Any = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
    for schema in (
        "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
        "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    ):
        if not hasattr(torch.ops.torchvision, schema.split("(")[0]):
            library.define(schema)
    _LIBRARIES.append(library)


#: Definitions live as long as the object that made them.
_LIBRARIES: list[torch.library.Library] = []

_ENCODER, _WHOLE = "image encoder", "whole network"

PEERS = (
    PeerNetwork(
        "SAM ViT-H",
        "sam-vit-h",
        _ENCODER,
        1024,
        "timm samvit_huge_patch16",
        _timm("samvit_huge_patch16", fixed_size=True),
        large=True,
    ),
    PeerNetwork(
        "SAM ViT-B",
        "sam-vit-b",
        _ENCODER,
        1024,
        "timm samvit_base_patch16",
        _timm("samvit_base_patch16", fixed_size=True),
    ),
    PeerNetwork(
        "MobileSAM", "mobilesam", _ENCODER, 1024, "timm tiny_vit_5m_224", _timm("tiny_vit_5m_224")
    ),
    PeerNetwork(
        "EfficientSAM-Ti",
        "efficientsam-ti",
        _ENCODER,
        1024,
        "timm vit_tiny_patch16_224",
        _timm("vit_tiny_patch16_224", fixed_size=True),
    ),
    PeerNetwork(
        "EfficientSAM-S",
        "efficientsam-s",
        _ENCODER,
        1024,
        "timm vit_small_patch16_224",
        _timm("vit_small_patch16_224", fixed_size=True),
    ),
    PeerNetwork(
        "SAM 2.1 Tiny",
        "sam2-tiny",
        _ENCODER,
        1024,
        "timm sam2_hiera_tiny",
        _timm("sam2_hiera_tiny"),
    ),
    # EdgeTAM's image encoder is RepViT-M1 too (arXiv 2501.07256).
    PeerNetwork("EdgeSAM", "edgesam", _ENCODER, 1024, "timm repvit_m1", _timm("repvit_m1")),
    PeerNetwork("NanoSAM", "nanosam", _ENCODER, 1024, "timm resnet18", _timm("resnet18")),
    PeerNetwork(
        "EfficientViT-SAM-L1",
        "efficientvit-sam-l1",
        _ENCODER,
        512,
        "timm efficientvit_l1",
        _timm("efficientvit_l1"),
    ),
    PeerNetwork("FastSAM", "fastsam", _WHOLE, 1024, "ultralytics yolov8x-seg", _fastsam),
)
