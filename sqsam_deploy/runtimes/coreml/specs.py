"""What Core ML artifacts of a preset look like from outside."""

from sqsam_deploy.artifact.metadata import (
    DEFAULT_DEPLOYMENT_TARGET,
    ArtifactMetadata,
    DeploymentTarget,
    InputLayout,
    TensorSpec,
    default_inputs,
)
from sqsam_deploy.model.config import ModelConfig

#: What Xcode shows beside each input and output.
DESCRIPTIONS = {
    "image": "The photo, stretched to the square.",
    "prompt_maps": "Clicks and box drawn as two channels, 0 or 255, in the order of the metadata.",
    "point_coords": "(x, y) of the clicks, then of the box's corners, in pixels of the square.",
    "point_labels": "1 foreground, 0 background, 2 and 3 box corners, -1 padding.",
    "low_res_masks": "Logits of the candidate masks; a pixel belongs to a mask above 0.",
    "saliency_logits": "Logits of the saliency map; their sigmoid is the heat.",
    "iou_predictions": "How well each mask is expected to fit, as IoU.",
}


def deployment_target(metadata: ArtifactMetadata) -> DeploymentTarget:
    """The deployment target an artifact is converted for."""
    return metadata.deployment_target or DEFAULT_DEPLOYMENT_TARGET


def minimum_runtime(metadata: ArtifactMetadata) -> str:
    """Lowest iOS that loads an artifact, as coremltools names it.

    W8A8 (`int8`) loads on every iPhone with iOS 17, but runs faster than fp16 only on the Neural
    Engine of an A17 Pro, an M4 or later.
    """
    return deployment_target(metadata)


def input_specs(config: ModelConfig, layout: InputLayout = "image") -> tuple[TensorSpec, ...]:
    """The default inputs, with `image` as a Core ML image that takes a `CVPixelBuffer`."""
    image, *others = default_inputs(config)
    size = config.image_size
    pixels = image.model_copy(
        update={"dtype": "uint8", "shape": (1, size, size, 3), "layout": "image"}
    )
    return (pixels, *others)
