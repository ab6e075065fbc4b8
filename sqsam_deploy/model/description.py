"""Descriptions of a network's artifacts: inputs, outputs, and the rules an app must follow."""

from typing import TYPE_CHECKING

from sqsam_deploy.artifact.metadata import (
    ArtifactMetadata,
    DeploymentTarget,
    PrecisionName,
    PromptRules,
    RuntimeName,
    TensorSpec,
    pixel_planes,
)
from sqsam_deploy.errors import ArtifactError
from sqsam_deploy.model.config import ModelConfig, preset

if TYPE_CHECKING:
    from sqsam_deploy.model.saliency import SaliencyConfig


def config_of(metadata: ArtifactMetadata) -> ModelConfig:
    """The configuration of an artifact's preset.

    Raises:
        ArtifactError: It is a saliency network, which has none.
    """
    if metadata.task == "saliency":
        raise ArtifactError(
            f"the artifact '{metadata.preset}' is a saliency network: it picks clicks for "
            "another artifact and makes no masks itself"
        )
    return preset(metadata.preset)


def describe(
    config: ModelConfig,
    *,
    runtime: RuntimeName,
    precision: PrecisionName,
    weights_sha256: str,
    inputs: tuple[TensorSpec, ...] | None = None,
    deployment_target: DeploymentTarget | None = None,
) -> ArtifactMetadata:
    """Metadata of an artifact of this preset; `inputs` where they differ from `default_inputs`."""
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
    config: "SaliencyConfig",
    *,
    runtime: RuntimeName,
    precision: PrecisionName,
    weights_sha256: str,
    deployment_target: DeploymentTarget | None = None,
) -> ArtifactMetadata:
    """Metadata of a saliency artifact that takes the image in 0..255 as float planes."""
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
        inputs=(pixel_planes("image", 3, config.image_size),),
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
    image = pixel_planes("image", 3, size)
    maps = pixel_planes("prompt_maps", 2, size)
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


def default_outputs(config: ModelConfig) -> tuple[TensorSpec, ...]:
    """Logits of the masks at low resolution and their predicted IoUs."""
    count, size = config.num_masks, config.mask_size
    return (
        TensorSpec(
            name="low_res_masks", dtype="float32", shape=(1, count, size, size), layout="NxMxHxW"
        ),
        TensorSpec(name="iou_predictions", dtype="float32", shape=(1, count), layout="NxM"),
    )
