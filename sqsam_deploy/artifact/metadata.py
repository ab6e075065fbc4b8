"""An artifact's own metadata: inputs, outputs and the rules an app must follow.

The same JSON travels inside every artifact (ONNX metadata, Core ML user-defined metadata, an
ExecuTorch constant method) and in the manifest.
"""

import math
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from sqsam_deploy.artifact.documents import parse_json, validate_document
from sqsam_deploy.errors import ArtifactError
from sqsam_deploy.version import __version__

#: Lower-case words joined by hyphens: names of runtimes and precisions, both of which can be added
#: to (`sqsam_deploy.runtimes.registry`, `sqsam_deploy.networks.precisions`).
_Name = Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]
#: "executorch", "onnx"; "torch" is a checkpoint that torch itself runs.
RuntimeName = _Name
#: "fp32", "int8"; see `sqsam_deploy.networks.precisions`.
PrecisionName = _Name
#: Prompts to masks, or an image to the map that picks the prompts.
Task = Literal["segmentation", "saliency"]
#: Lowest iOS that must load a Core ML model, as coremltools names it (`coremltools.target`).
DeploymentTarget = Literal["iOS15", "iOS16", "iOS17", "iOS18"]
#: `quantize` and `dequantize` of activations exist from this target on; where nobody chooses, the
#: other precisions use it too, so that an app has one target for all of them.
DEFAULT_DEPLOYMENT_TARGET: DeploymentTarget = "iOS17"
#: How pixels and prompt maps come in: float planes, one interleaved byte tensor, a Core ML image.
InputLayout = Literal["nchw-float32", "nhwc-uint8", "nhwc-int8", "image"]
ElementType = Literal["float32", "uint8", "int8"]
Axes = Literal["NCHW", "NHWC", "image", "NxPx2", "NxP", "NxM", "NxMxHxW"]

#: Key under which `ArtifactMetadata` is stored, as JSON, inside an artifact.
METADATA_KEY = "sqsam"

#: Name of the input that holds the image and the prompt maps interleaved.
PIXELS = "pixels"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TensorSpec(_Frozen):
    """One input or output.

    Attributes:
        name: SAM's word for it.
        dtype: Element type at the boundary; int8 holds pixel values minus 128.
        shape: Sizes; the batch is always 1.
        layout: Meaning of the axes; "image" is a Core ML image (a `CVPixelBuffer`).
        value_range: Lowest and highest value, or None where it is unbounded.
    """

    name: str
    dtype: ElementType
    shape: tuple[int, ...]
    layout: Axes
    value_range: tuple[float, float] | None = None


class PromptRules(_Frozen):
    """How prompts are drawn; see `sqsam_deploy.prompts.encode_prompt`."""

    map_order: Literal["clicks-box", "box-clicks"]
    click_radius: int
    marked_value: int = 255
    carve_background: bool
    max_clicks: int


class ArtifactMetadata(_Frozen):
    """Everything an app needs to feed one artifact and to read what it returns.

    A saliency network (`task`) takes the image alone, has no `prompts`, and returns one map of
    `mask_size` pixels: `saliency_logits`, whose sigmoid is the saliency. `deployment_target` is
    None where no Core ML model is inside. `options` are the choices of the runtime that it was
    built with (`runtimes.base.Runtime.options`).
    """

    format_version: Literal[1] = 1
    package_version: str = __version__
    task: Task = "segmentation"
    preset: str
    runtime: RuntimeName
    precision: PrecisionName
    weights_sha256: str
    deployment_target: DeploymentTarget | None = None
    options: dict[str, str] = Field(default_factory=dict)
    image_size: int
    mask_size: int
    color_order: Literal["RGB"] = "RGB"
    resize: Literal["stretch-bilinear", "stretch-bilinear-antialias"]
    prompts: PromptRules | None
    mask_threshold: float = 0.0
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]


#: Values of one input or output; the largest preset's image has 5 million.
_MOST_VALUES = 1 << 28


def stored_metadata(text: bytes | str, source: str) -> ArtifactMetadata:
    """The metadata that an artifact, `source`, carries.

    Raises:
        ArtifactError: It is damaged, of another version, or of a network that nothing can hold.
    """
    found = validate_document(
        ArtifactMetadata, parse_json(text, f"the metadata of {source}"), f"the metadata of {source}"
    )
    for spec in (*found.inputs, *found.outputs):
        if min(spec.shape, default=1) < 1 or math.prod(spec.shape) > _MOST_VALUES:
            raise ArtifactError(f"the metadata of {source} gives {spec.name} an impossible shape")
    if not all(0 < size < 1 << 14 for size in (found.image_size, found.mask_size)):
        raise ArtifactError(f"the metadata of {source} gives an impossible size of image or mask")
    return found


def pixel_planes(name: str, channels: int, size: int) -> TensorSpec:
    """An input of float32 planes, 1xCxSxS, that hold 0 to 255."""
    return TensorSpec(
        name=name,
        dtype="float32",
        shape=(1, channels, size, size),
        layout="NCHW",
        value_range=(0.0, 255.0),
    )


def arrange_inputs(inputs: tuple[TensorSpec, ...], layout: InputLayout) -> tuple[TensorSpec, ...]:
    """A network's inputs as an artifact with another input layout declares them.

    Args:
        inputs: As the network declares them: the image first, all pixels in float planes.
        layout: "nchw-float32" changes nothing; "nhwc-uint8" and "nhwc-int8" join all planes into
            one interleaved tensor `pixels`, 1xSxSxC; "image" makes the image a Core ML image.
    """
    if layout == "nchw-float32":
        return inputs
    planes = [spec for spec in inputs if spec.layout == "NCHW"]
    size = planes[0].shape[-1]
    if layout == "image":
        shown = {"dtype": "uint8", "shape": (1, size, size, 3), "layout": "image"}
        return (planes[0].model_copy(update=shown), *inputs[1:])
    signed = layout == "nhwc-int8"
    pixels = TensorSpec(
        name=PIXELS,
        dtype="int8" if signed else "uint8",
        shape=(1, size, size, sum(spec.shape[1] for spec in planes)),
        layout="NHWC",
        value_range=(-128.0, 127.0) if signed else (0.0, 255.0),
    )
    return (pixels, *inputs[len(planes) :])
