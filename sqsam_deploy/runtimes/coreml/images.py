"""Image-typed inputs: what Core ML does to a pixel buffer before the program sees it.

Scale and bias of a `ct.ImageType` are operators of the ML Program; only the order of the channels
is left to the caller of the program.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sqsam_deploy.errors import ArtifactError

if TYPE_CHECKING:
    from coremltools.proto.Model_pb2 import Model

ChannelOrder = Literal["RGB", "BGR"]


def channel_orders(model: "Model") -> dict[str, ChannelOrder]:
    """The image-typed inputs and the channel order their program wants.

    Raises:
        ArtifactError: A color space other than RGB and BGR.
    """
    orders: dict[str, ChannelOrder] = {}
    for feature in model.description.input:
        if feature.type.WhichOneof("Type") != "imageType":
            continue
        kind = feature.type.imageType
        name = kind.ColorSpace.Name(kind.colorSpace)
        if name not in ("RGB", "BGR"):
            raise ArtifactError(f"image input '{feature.name}' is {name}: RGB or BGR is expected")
        orders[feature.name] = name
    return orders


def to_program_inputs(
    feeds: Mapping[str, NDArray[np.generic]], orders: Mapping[str, ChannelOrder]
) -> dict[str, Tensor]:
    """Named arrays as the program's tensors.

    Args:
        feeds: Images 1xHxWx3 uint8 RGB, everything else as the program takes it.
        orders: From `channel_orders`.
    """
    return {
        name: _pixels(value, orders[name]) if name in orders else torch.tensor(value)
        for name, value in feeds.items()
    }


def _pixels(image: NDArray[np.generic], order: ChannelOrder) -> Tensor:
    channels_last = image if order == "RGB" else image[..., ::-1]
    planes = np.ascontiguousarray(channels_last.transpose(0, 3, 1, 2), dtype=np.float32)
    return torch.from_numpy(planes)
