"""What an artifact says of itself: inputs, outputs and the rules an app must follow.

The same JSON travels inside every artifact (ONNX metadata, Core ML user-defined metadata, an
ExecuTorch constant method) and in the manifest.
"""

import math
from typing import Literal

from pydantic import BaseModel, ConfigDict

from sqsam_deploy.artifact.documents import parse_json, validate_document
from sqsam_deploy.errors import ArtifactError
from sqsam_deploy.model.config import ModelConfig, preset
from sqsam_deploy.model.saliency import SaliencyConfig
from sqsam_deploy.version import __version__

RuntimeName = Literal["torch", "executorch", "executorch-coreml", "coreml", "onnx"]
#: `int8` is W8A8; `int8-weights` keeps activations in half precision (Core ML only).
Precision = Literal["fp32", "fp16", "int8", "int8-weights"]
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
Layout = Literal["NCHW", "NHWC", "image", "NxPx2", "NxP", "NxM", "NxMxHxW"]

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
    layout: Layout
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
    `mask_size` pixels: `saliency_logits`, whose sigmoid is the heat. `deployment_target` is None
    where no Core ML model is inside.
    """

    format_version: Literal[1] = 1
    package_version: str = __version__
    task: Task = "segmentation"
    preset: str
    runtime: RuntimeName
    precision: Precision
    weights_sha256: str
    deployment_target: DeploymentTarget | None = None
    image_size: int
    mask_size: int
    color_order: Literal["RGB"] = "RGB"
    resize: Literal["stretch-bilinear", "stretch-bilinear-antialias"]
    prompts: PromptRules | None
    mask_threshold: float = 0.0
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    @property
    def config(self) -> ModelConfig:
        """The preset's configuration.

        Raises:
            ArtifactError: This is a saliency network, which has none.
        """
        if self.task == "saliency":
            raise ArtifactError(
                f"the artifact '{self.preset}' is a saliency network: it picks clicks for "
                "another artifact and makes no masks itself"
            )
        return preset(self.preset)


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


def describe(
    config: ModelConfig,
    *,
    runtime: RuntimeName,
    precision: Precision,
    weights_sha256: str,
    inputs: tuple[TensorSpec, ...] | None = None,
    deployment_target: DeploymentTarget | None = None,
) -> ArtifactMetadata:
    """Metadata of an artifact of this preset; `inputs` where they differ from the default ones."""
    return ArtifactMetadata(
        preset=config.name,
        runtime=runtime,
        precision=precision,
        weights_sha256=weights_sha256,
        deployment_target=deployment_target,
        image_size=config.image_size,
        mask_size=config.mask_size,
        resize="stretch-bilinear-antialias" if config.antialias else "stretch-bilinear",
        prompts=PromptRules(
            map_order=config.map_order,
            click_radius=config.click_radius,
            carve_background=config.carve_background,
            max_clicks=config.max_clicks,
        ),
        inputs=inputs or default_inputs(config),
        outputs=default_outputs(config),
    )


def describe_saliency(
    config: SaliencyConfig,
    *,
    runtime: RuntimeName,
    precision: Precision,
    weights_sha256: str,
    image: TensorSpec | None = None,
    deployment_target: DeploymentTarget | None = None,
) -> ArtifactMetadata:
    """Metadata of a saliency artifact; `image` where its input differs from the default one."""
    return ArtifactMetadata(
        task="saliency",
        preset=config.name,
        runtime=runtime,
        precision=precision,
        weights_sha256=weights_sha256,
        deployment_target=deployment_target,
        image_size=config.image_size,
        mask_size=config.map_size,
        resize="stretch-bilinear-antialias",
        prompts=None,
        inputs=(image or _pixels("image", 3, config.image_size),),
        outputs=(
            TensorSpec(
                name="saliency_logits",
                dtype="float32",
                shape=(1, 1, config.map_size, config.map_size),
                layout="NxMxHxW",
            ),
        ),
    )


def default_inputs(config: ModelConfig) -> tuple[TensorSpec, ...]:
    """Image and prompt maps in 0..255, and the points where the preset takes them as tokens."""
    size, points = config.image_size, config.max_points
    image = _pixels("image", 3, size)
    maps = _pixels("prompt_maps", 2, size)
    if not config.late_fusion:
        return image, maps
    coords = TensorSpec(
        name="point_coords",
        dtype="float32",
        shape=(1, points, 2),
        layout="NxPx2",
        value_range=(0.0, float(size)),
    )
    labels = TensorSpec(
        name="point_labels",
        dtype="float32",
        shape=(1, points),
        layout="NxP",
        value_range=(-1.0, 3.0),
    )
    return image, maps, coords, labels


def input_specs(
    config: ModelConfig, layout: InputLayout = "nchw-float32"
) -> tuple[TensorSpec, ...]:
    """Inputs in a layout: `default_inputs`, or the image and the prompt maps as one tensor.

    Args:
        config: The preset.
        layout: "nchw-float32", or "nhwc-uint8" or "nhwc-int8" for `pixels`, 1xSxSx5.
    """
    image, maps, *points = default_inputs(config)
    if layout == "nchw-float32":
        return image, maps, *points
    assert layout != "image", "Core ML declares its image itself"
    size = config.image_size
    signed = layout == "nhwc-int8"
    pixels = TensorSpec(
        name=PIXELS,
        dtype="int8" if signed else "uint8",
        shape=(1, size, size, image.shape[1] + maps.shape[1]),
        layout="NHWC",
        value_range=(-128.0, 127.0) if signed else (0.0, 255.0),
    )
    return pixels, *points


def _pixels(name: str, channels: int, size: int) -> TensorSpec:
    return TensorSpec(
        name=name,
        dtype="float32",
        shape=(1, channels, size, size),
        layout="NCHW",
        value_range=(0.0, 255.0),
    )


def default_outputs(config: ModelConfig) -> tuple[TensorSpec, ...]:
    """Logits of the masks at low resolution and their predicted IoUs."""
    count, size = config.num_masks, config.mask_size
    return (
        TensorSpec(
            name="low_res_masks", dtype="float32", shape=(1, count, size, size), layout="NxMxHxW"
        ),
        TensorSpec(name="iou_predictions", dtype="float32", shape=(1, count), layout="NxM"),
    )
