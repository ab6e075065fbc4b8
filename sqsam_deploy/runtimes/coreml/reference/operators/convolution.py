"""Convolutions over one to three spatial axes."""

from collections.abc import Sequence

from torch import Tensor
from torch.nn import functional as F

from sqsam_deploy.errors import ArtifactError
from sqsam_deploy.runtimes.coreml.reference.operators.padding import resolve_pads, torch_pads
from sqsam_deploy.runtimes.coreml.reference.operators.table import operator

_CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
_CONV_TRANSPOSE = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}


@operator
def conv(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    strides: Sequence[int] | None = None,
    pad_type: str = "valid",
    pad: Sequence[int] | None = None,
    dilations: Sequence[int] | None = None,
    groups: int = 1,
) -> Tensor:
    """BxCx... with a Kx(C/groups)x... weight -> BxKx...."""
    rank = x.ndim - 2
    stride, dilation = list(strides or [1] * rank), list(dilations or [1] * rank)
    pads = resolve_pads(pad_type, pad, x.shape[2:], weight.shape[2:], stride, dilation)
    if all(before == after for before, after in pads):
        # Padding inside the convolution saves a copy of the largest maps.
        inner = [before for before, _ in pads]
        return _CONV[rank](x, weight, bias, stride, inner, dilation, groups)
    padded = F.pad(x, torch_pads(pads))
    return _CONV[rank](padded, weight, bias, stride, 0, dilation, groups)


@operator
def conv_transpose(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    pad: Sequence[int] | None = None,
    output_shape: Sequence[int] | None = None,
    pad_type: str = "valid",
    strides: Sequence[int] | None = None,
    dilations: Sequence[int] | None = None,
    groups: int = 1,
) -> Tensor:
    """BxCx... with a Cx(K/groups)x... weight -> BxKx..., cropped by `pad` at both ends.

    Raises:
        ArtifactError: `pad_type` "same", or an `output_shape` beyond what the kernel reaches.
    """
    rank = x.ndim - 2
    stride, dilation = list(strides or [1] * rank), list(dilations or [1] * rank)
    if pad_type not in ("valid", "custom"):
        raise ArtifactError(
            f"the reference executor does not know conv_transpose with pad_type '{pad_type}'"
        )
    pads = resolve_pads(pad_type, pad, x.shape[2:], weight.shape[2:], stride, dilation)
    full = _CONV_TRANSPOSE[rank](x, weight, bias, stride, 0, 0, groups, dilation)
    for axis, (before, after) in enumerate(pads, start=2):
        length = full.shape[axis] - before - after
        full = full.narrow(axis, before, length)
    if output_shape is not None and list(output_shape) != list(full.shape):
        raise ArtifactError(
            "the reference executor does not know conv_transpose with output padding: "
            f"{list(full.shape)} expected, {list(output_shape)} declared"
        )
    return full
