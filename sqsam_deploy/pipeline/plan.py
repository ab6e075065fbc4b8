"""The plan of an export: the artifacts it would build, and about how large they are."""

from dataclasses import dataclass
from pathlib import Path

from sqsam_deploy.artifact.manifest import WeightsEntry
from sqsam_deploy.checkpoint import load_checkpoint
from sqsam_deploy.networks.base import Network
from sqsam_deploy.networks.precisions import PRECISIONS
from sqsam_deploy.networks.saliency import SaliencyNetwork, load_saliency
from sqsam_deploy.networks.segmentation import SegmentationNetwork
from sqsam_deploy.pipeline.export import calibration_photos
from sqsam_deploy.pipeline.request import ExportRequest
from sqsam_deploy.pipeline.targets import Target, targets_beside


@dataclass(frozen=True)
class PlannedArtifact:
    """An artifact that would be built.

    Attributes:
        path: Its name in the directory.
        runtime: What would run it.
        precision: Of its arithmetic.
        estimated_bytes: Number of weights times what one costs in this precision and runtime.
            Graph and metadata come on top: a few percent of a network of the paper's size.
    """

    path: str
    runtime: str
    precision: str
    estimated_bytes: int


@dataclass(frozen=True)
class ExportPlan:
    """An export that has not been done.

    Attributes:
        output: The directory it would make or replace.
        weights: The checkpoint.
        calibration_images: Photos that int8 ranges would be measured on; None where nothing is
            int8.
        artifacts: In the manifest's order.
    """

    output: Path
    weights: WeightsEntry
    calibration_images: int | None
    artifacts: tuple[PlannedArtifact, ...]


def plan_export(request: ExportRequest) -> ExportPlan:
    """Reads weights and calibration data as an export would, and builds nothing.

    Raises:
        UsageError: A recipe or a runtime does not exist, or nothing is left to build.
        SqsamError: The checkpoint or the calibration data cannot be used.
    """
    request = request.resolved()
    network = SegmentationNetwork(load_checkpoint(request.checkpoint))
    planned = [_planned(target, network) for target in request.targets]
    if request.with_saliency:
        saliency = SaliencyNetwork(load_saliency())
        planned += [_planned(target, saliency) for target in targets_beside(request.targets)]
    is_int8 = any(PRECISIONS[target.precision].is_quantized for target in request.targets)
    images = len(calibration_photos(request)) if is_int8 else None
    return ExportPlan(request.output, network.weights, images, tuple(planned))


def _planned(target: Target, network: Network) -> PlannedArtifact:
    weight_bytes = PRECISIONS[target.precision].weight_bytes
    return PlannedArtifact(
        target.file_name(network.name),
        target.runtime,
        target.precision,
        round(weight_bytes * network.weight_count),
    )
