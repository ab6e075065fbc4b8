"""An export made again from what its manifest says, in a process of its own."""

from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from sqsam_deploy._internal.progress import shown_steps
from sqsam_deploy._internal.workers import end_with_parent
from sqsam_deploy.artifact.manifest import ArtifactEntry, CalibrationEntry, Manifest
from sqsam_deploy.checkpoint import Checkpoint, load_checkpoint
from sqsam_deploy.checkpoint.bundled import DEFAULT, NAMES
from sqsam_deploy.datasets import bundled_dataset, open_photos, subset
from sqsam_deploy.errors import ArtifactError, CheckpointError, UsageError
from sqsam_deploy.networks.saliency import load_saliency
from sqsam_deploy.networks.segmentation import SegmentationNetwork
from sqsam_deploy.pipeline.export import export, step_count
from sqsam_deploy.pipeline.request import ExportRequest
from sqsam_deploy.pipeline.targets import Target


@dataclass(frozen=True)
class RebuildSource:
    """The files that an export is made from, which a manifest only names.

    Attributes:
        checkpoint: Weights; None takes the bundled ones that the manifest names.
        calibration: Images that int8 ranges are measured on; None is the bundled set.
    """

    checkpoint: Path | None = None
    calibration: Path | None = None


def rebuild(manifest: Manifest, source: RebuildSource, output: Path) -> None:
    """Makes an export again, in a fresh interpreter that shares nothing with this one.

    Args:
        manifest: Of the export.
        source: Weights and calibration images; they must be those the manifest names.
        output: Directory to make.

    Raises:
        UsageError: The weights or the calibration images are others than the manifest's.
        ArtifactError: The manifest does not say how to build an artifact, or the process died.
        SqsamError: The export itself fails.
    """
    # "spawn" starts an interpreter with its own hash seed and nothing imported.
    with ProcessPoolExecutor(1, get_context("spawn"), end_with_parent) as fresh:
        try:
            fresh.submit(_rebuild, manifest, source, output).result()
        except BrokenProcessPool:
            raise ArtifactError(
                "the process that built the export again was killed, most likely for want of "
                "memory: close other programs and try again"
            ) from None


def _rebuild(manifest: Manifest, source: RebuildSource, output: Path) -> None:
    import logging
    import warnings

    logging.disable(logging.WARNING)
    warnings.filterwarnings("ignore")
    request = checked_request(manifest, source, output)
    with shown_steps(step_count(request)) as steps:
        export(request, steps)


def checked_request(manifest: Manifest, source: RebuildSource, output: Path) -> ExportRequest:
    """`request_of`, for the weights and the photos that the manifest names and no others.

    Raises:
        UsageError: The weights or the calibration images are others than the manifest's.
        CheckpointError: The saliency network is another one.
        ArtifactError: As in `request_of`.
    """
    request = request_of(manifest, source, output)
    checkpoint = _refuse_other_weights(manifest, request.checkpoint)
    _refuse_other_calibration(manifest, source.calibration, checkpoint)
    return request


def request_of(manifest: Manifest, source: RebuildSource, output: Path) -> ExportRequest:
    """The request that a manifest answers.

    Raises:
        ArtifactError: It does not say how to build an artifact, or this version cannot.
    """
    networks = [entry for entry in manifest.artifacts if entry.metadata.task == "segmentation"]
    if not networks:
        raise ArtifactError(
            "the manifest lists no segmentation artifact, from which the others would follow: "
            "check the directory that sqsam-export wrote"
        )
    calibration = manifest.calibration
    return ExportRequest(
        targets=tuple(map(_target, networks)),
        output=output,
        checkpoint=source.checkpoint or _bundled_name(manifest),
        calibration=source.calibration,
        calibration_size=calibration.images if calibration else None,
        seed=calibration.seed if calibration else 0,
        with_saliency=len(networks) < len(manifest.artifacts),
        recipe=manifest.recipe,
    )


def _bundled_name(manifest: Manifest) -> str:
    name = Path(manifest.weights.name).stem
    return name if name in NAMES else DEFAULT


def _target(entry: ArtifactEntry) -> Target:
    if entry.build is None:
        raise ArtifactError(
            f"the manifest does not say how {entry.path} was built, because an older sqsam-deploy "
            "wrote it: export again"
        )
    about, build = entry.metadata, entry.build
    target = Target(
        about.runtime,
        about.precision,
        build.input_layout,
        about.deployment_target,
        build.keep_float,
        build.name,
        tuple(sorted(about.options.items())),
    )
    problem = target.problem()
    if problem:
        raise ArtifactError(f"{entry.path} cannot be built again: {problem.reason}")
    return target


def _refuse_other_weights(manifest: Manifest, source: Path | str) -> Checkpoint:
    checkpoint = load_checkpoint(source)
    if checkpoint.sha256 != manifest.weights.sha256:
        raise UsageError(
            f"the export was made from {manifest.weights.name} (SHA-256 "
            f"{manifest.weights.sha256[:12]}...), and {source} is another "
            f"file ({checkpoint.sha256[:12]}...): name the right one with --checkpoint"
        )
    saliency = manifest.saliency_weights
    if saliency and saliency.sha256 != load_saliency().sha256:
        raise CheckpointError(
            f"the export's saliency network is {saliency.name} (SHA-256 {saliency.sha256[:12]}...),"
            " and this version brings another one: install the version that made the export"
        )
    return checkpoint


def _refuse_other_calibration(
    manifest: Manifest, path: Path | None, checkpoint: Checkpoint
) -> None:
    expected = manifest.calibration
    if expected is None:
        return
    dataset = bundled_dataset("calibration") if path is None else open_photos(path)
    drawn = subset(dataset, expected.images, expected.seed)
    actual = SegmentationNetwork(checkpoint).calibration(drawn, expected.seed).entry
    assert actual is not None
    # Earlier manifests do not say what the prompts were drawn from.
    if actual.model_copy(update={"prompt_sources": expected.prompt_sources}) != expected:
        raise UsageError(
            f"the export was calibrated on {_described(expected)}, and {path or 'the bundled set'} "
            f"gives {_described(actual)}: name the right one with --calibration"
        )


def _described(entry: CalibrationEntry) -> str:
    return f"{entry.images} images of '{entry.source}' (SHA-256 {entry.images_sha256[:12]}...)"
