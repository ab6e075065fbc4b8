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

ColorLayout = Literal["RGB", "BGR"]


def image_layouts(model: "Model") -> dict[str, ColorLayout]:
    """The image-typed inputs and the channel order their program wants.

    Raises:
        ArtifactError: A color space other than RGB and BGR.
    """
    layouts: dict[str, ColorLayout] = {}
    for feature in model.description.input:
        if feature.type.WhichOneof("Type") != "imageType":
            continue
        kind = feature.type.imageType
        name = kind.ColorSpace.Name(kind.colorSpace)
        if name not in ("RGB", "BGR"):
            raise ArtifactError(f"image input '{feature.name}' is {name}: RGB or BGR is expected")
        layouts[feature.name] = name
    return layouts


def to_program_inputs(
    feeds: Mapping[str, NDArray[np.generic]], layouts: Mapping[str, ColorLayout]
) -> dict[str, Tensor]:
    """Named arrays as the program's tensors.

    Args:
        feeds: Images 1xHxWx3 uint8 RGB, everything else as the program takes it.
        layouts: From `image_layouts`.
    """
    return {
        name: _pixels(value, layouts[name]) if name in layouts else torch.tensor(value)
        for name, value in feeds.items()
    }


def _pixels(image: NDArray[np.generic], layout: ColorLayout) -> Tensor:
    channels_last = image if layout == "RGB" else image[..., ::-1]
    planes = np.ascontiguousarray(channels_last.transpose(0, 3, 1, 2), dtype=np.float32)
    return torch.from_numpy(planes)
