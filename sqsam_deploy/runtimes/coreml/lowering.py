"""An exported program to an `.mlpackage`."""

from pathlib import Path
from typing import TYPE_CHECKING

from torch.export import ExportedProgram

from sqsam_deploy.artifact.metadata import METADATA_KEY, ArtifactMetadata, Precision
from sqsam_deploy.runtimes.coreml.conversion import convert
from sqsam_deploy.runtimes.coreml.half_scales import with_normal_scales
from sqsam_deploy.runtimes.coreml.package import write_package
from sqsam_deploy.runtimes.coreml.programs import weights_only
from sqsam_deploy.runtimes.coreml.specs import DESCRIPTIONS, deployment_target

if TYPE_CHECKING:
    from coremltools.proto.Model_pb2 import Model


def lower(program: ExportedProgram, metadata: ArtifactMetadata, path: Path) -> None:
    """Writes a package; the same program and metadata give the same bytes.

    Args:
        program: The float program for "fp32" and "fp16", the quantized one for "int8" and
            "int8-weights"; the latter keeps its weights and scales and drops the rest.
        metadata: `inputs` from `input_specs`; travels inside as user-defined metadata.
        path: The `.mlpackage` directory to make or replace.
    """
    converted = convert(
        _source(program, metadata.precision),
        metadata.inputs,
        metadata.outputs,
        metadata.precision,
        deployment_target(metadata),
    )
    model = converted.get_spec()
    _describe(model, metadata)
    weights = Path(converted.weights_dir) / "weight.bin"
    write_package(model, weights, path)


def _source(program: ExportedProgram, precision: Precision) -> ExportedProgram:
    if precision == "int8-weights":
        return with_normal_scales(weights_only(program))
    return with_normal_scales(program) if precision == "int8" else program


def _describe(model: "Model", metadata: ArtifactMetadata) -> None:
    about = model.description.metadata
    about.author = "sqsam-deploy"
    about.license = "See the licence of the weights in manifest.json."
    about.versionString = metadata.package_version
    about.shortDescription = (
        f"SqueezeSAM, preset {metadata.preset}, {metadata.precision}: "
        "image, clicks and box to masks."
    )
    about.userDefined[METADATA_KEY] = metadata.model_dump_json()
    for feature in (*model.description.input, *model.description.output):
        feature.shortDescription = DESCRIPTIONS[feature.name]
