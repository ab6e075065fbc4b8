"""An exported program to an `.mlpackage`."""

from pathlib import Path
from typing import TYPE_CHECKING

from torch.export import ExportedProgram

from sqsam_deploy.artifact.metadata import (
    DEFAULT_DEPLOYMENT_TARGET,
    METADATA_KEY,
    ArtifactMetadata,
)
from sqsam_deploy.runtimes import coreml
from sqsam_deploy.runtimes.coreml.conversion import convert
from sqsam_deploy.runtimes.coreml.half_scales import with_normal_scales
from sqsam_deploy.runtimes.coreml.package import write_package
from sqsam_deploy.runtimes.coreml.programs import weights_only
from sqsam_deploy.runtimes.coreml.unsigned import unsigned_activations, unsigned_weights

if TYPE_CHECKING:
    from coremltools.proto.Model_pb2 import Model


#: Descriptions that Xcode shows of a model, by its task.
_TASKS = {
    "segmentation": "image, clicks and box to masks.",
    "saliency": "image to a map of what stands out.",
}
#: Descriptions that Xcode shows beside each input and output.
_DESCRIPTIONS = {
    "image": "The photo, stretched to the square.",
    "prompt_maps": "Clicks and box drawn as two channels, 0 or 255, in the order of the metadata.",
    "point_coords": "(x, y) of the clicks, then of the box's corners, in pixels of the square.",
    "point_labels": "1 foreground, 0 background, 2 and 3 box corners, -1 padding.",
    "low_res_masks": "Logits of the candidate masks; a pixel belongs to a mask above 0.",
    "saliency_logits": "Logits of the saliency map; their sigmoid is the saliency.",
    "iou_predictions": "How well each mask is expected to fit, as IoU.",
}


def lower(program: ExportedProgram, metadata: ArtifactMetadata, path: Path) -> None:
    """Writes a package; the same program and metadata give the same bytes.

    Args:
        program: A float program, of few different weights for "palettized-4bit" and the like; the
            quantized one for "int8" and "int8-weights", of which the latter keeps weights and
            scales and drops the rest.
        metadata: travels inside as user-defined metadata.
        path: The `.mlpackage` directory to make or replace.
    """
    converted = convert(
        _source(program, metadata),
        metadata.inputs,
        metadata.outputs,
        metadata.precision,
        metadata.deployment_target or DEFAULT_DEPLOYMENT_TARGET,
    )
    model = converted.get_spec()
    _describe(model, metadata)
    weights = Path(converted.weights_dir) / "weight.bin"
    write_package(model, weights, path)


def _source(program: ExportedProgram, metadata: ArtifactMetadata) -> ExportedProgram:
    if not metadata.precision.startswith("int8"):
        return program
    weights_alone = metadata.precision == "int8-weights"
    source = with_normal_scales(
        weights_only(program) if weights_alone else unsigned_activations(program)
    )
    options = coreml.RUNTIME.chosen_options(metadata.precision, metadata.options)
    return unsigned_weights(source) if options["weight_encoding"] == "unsigned" else source


def _describe(model: "Model", metadata: ArtifactMetadata) -> None:
    about = model.description.metadata
    about.author = "sqsam-deploy"
    about.license = "See the license of the weights in manifest.json."
    about.versionString = metadata.package_version
    about.shortDescription = (
        f"SqueezeSAM, preset {metadata.preset}, {metadata.precision}: {_TASKS[metadata.task]}"
    )
    about.userDefined[METADATA_KEY] = metadata.model_dump_json()
    for feature in (*model.description.input, *model.description.output):
        feature.shortDescription = _DESCRIPTIONS[feature.name]
