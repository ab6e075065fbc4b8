"""The saliency network beside the segmentation model: same precisions, same runtimes."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sqsam_deploy._internal.progress import Steps
from sqsam_deploy.artifact.manifest import Agreement, ArtifactEntry
from sqsam_deploy.artifact.metadata import (
    ArtifactMetadata,
    Precision,
    TensorSpec,
    describe_saliency,
)
from sqsam_deploy.datasets import Dataset, ImageRecord
from sqsam_deploy.datasets.annotated import load_photos
from sqsam_deploy.model.config import NANO
from sqsam_deploy.model.saliency import SaliencyConfig
from sqsam_deploy.pipeline.artifact import ArtifactPlan, build_artifact
from sqsam_deploy.pipeline.targets import Target, program_precision
from sqsam_deploy.runtimes import runtime_package
from sqsam_deploy.runtimes.session import Session
from sqsam_deploy.saliency.network import SaliencyCheckpoint, square_of

if TYPE_CHECKING:
    from torch.export import ExportedProgram


@dataclass(frozen=True)
class _Probe:
    """A photo of the network's size and the float network's logits on it."""

    square: NDArray[np.uint8]
    expected: NDArray[np.float32]


def saliency_step_count(targets: Sequence[Target]) -> int:
    """Steps that `build_saliency` reports for these targets."""
    return len({program_precision(target.precision) for target in targets}) + 2 * len(targets)


def build_saliency(
    checkpoint: SaliencyCheckpoint,
    targets: Sequence[Target],
    calibration: Dataset,
    comparison: Sequence[ImageRecord],
    staging: Path,
    steps: Steps,
) -> tuple[ArtifactEntry, ...]:
    """Builds the saliency artifacts, executes them and compares them with the float network.

    Args:
        checkpoint: The network.
        targets: Precisions and runtimes.
        calibration: Photos that int8 ranges are measured on.
        comparison: Photos that every artifact is executed on.
        staging: Directory to write into.
        steps: Told what is being done.

    Raises:
        GateError: An artifact agrees too little with the float network.
        DataError: A photo cannot be read.
    """
    programs = _programs(checkpoint, targets, calibration, steps)
    probes = _probes(checkpoint, comparison)
    entries = []
    for target in targets:
        plan = ArtifactPlan(
            path=staging / target.file_name(checkpoint.config.name),
            program=programs[program_precision(target.precision)],
            metadata=_metadata(target, checkpoint.config, checkpoint.sha256),
        )
        entries.append(build_artifact(plan, partial(_measure, probes), steps))
    return tuple(entries)


def _programs(
    checkpoint: SaliencyCheckpoint, targets: Sequence[Target], calibration: Dataset, steps: Steps
) -> "dict[Precision, ExportedProgram]":
    from sqsam_deploy.saliency.programs import (
        fold_saliency,
        saliency_fp16,
        saliency_fp32,
        saliency_int8,
    )

    network, size = fold_saliency(checkpoint.model), checkpoint.config.image_size
    made: dict[Precision, ExportedProgram] = {}
    for precision in dict.fromkeys(program_precision(target.precision) for target in targets):
        steps.begin(f"making the {precision} program of the saliency network")
        if precision == "int8":
            made[precision] = saliency_int8(network, size, _squares(calibration, size))
        else:
            export = saliency_fp16 if precision == "fp16" else saliency_fp32
            made[precision] = export(network, size)
    return made


def _squares(photos: Dataset, size: int) -> list[NDArray[np.uint8]]:
    return [square_of(image, size) for image in load_photos(photos)]


def _probes(checkpoint: SaliencyCheckpoint, comparison: Sequence[ImageRecord]) -> list[_Probe]:
    import torch

    from sqsam_deploy.saliency.programs import saliency_sample

    with torch.inference_mode():
        return [
            _Probe(square, checkpoint.model(*saliency_sample(square))[0, 0].numpy())
            for square in _squares(
                Dataset("comparison", tuple(comparison)), checkpoint.config.image_size
            )
        ]


def _metadata(target: Target, config: SaliencyConfig, sha256: str) -> ArtifactMetadata:
    # A runtime declares its image input by size alone, whatever the preset.
    inputs = runtime_package(target.runtime).input_specs(
        replace(NANO, image_size=config.image_size), target.layout
    )
    return describe_saliency(
        config,
        runtime=target.runtime,
        precision=target.precision,
        weights_sha256=sha256,
        image=_without_maps(inputs[0]),
        deployment_target=target.lowest_ios,
    )


def _without_maps(pixels: TensorSpec) -> TensorSpec:
    """The image input of a network that takes no prompt."""
    *leading, _ = pixels.shape
    return pixels.model_copy(update={"shape": (*leading, 3)}) if pixels.layout == "NHWC" else pixels


def _measure(probes: Sequence[_Probe], session: Session, limit: float, executor: str) -> Agreement:
    """The salient area (heat over one half) and the logits, against the float network's."""
    actual = [session.run_saliency(probe.square) for probe in probes]
    pairs = [(logits, probe.expected) for logits, probe in zip(actual, probes, strict=True)]
    ious = [_iou(a > 0, b > 0) for a, b in pairs]
    return Agreement(
        images=len(probes),
        prompts=len(probes),
        mean_mask_iou=float(np.mean(ious)),
        min_mask_iou=min(ious),
        max_logit_difference=max(float(np.abs(a - b).max()) for a, b in pairs),
        max_iou_difference=0.0,
        limit=limit,
        executor=executor,
    )


def _iou(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    union = int((a | b).sum())
    return 1.0 if union == 0 else int((a & b).sum()) / union
