"""A `.pte` with Core ML's delegate, looked into."""

from pathlib import Path

from sqsam_deploy.runtimes.coreml.inspection import package_operators, package_parts
from sqsam_deploy.runtimes.executorch.inspection import NO_READER, pte_parts, whole_file
from sqsam_deploy.runtimes.executorch.pte import open_pte
from sqsam_deploy.runtimes.executorch_coreml.blob import unpacked
from sqsam_deploy.runtimes.inspection import Inspection, Part


def inspect_delegate(path: Path) -> Inspection:
    """The file, and the Core ML package inside its one delegate.

    Raises:
        ArtifactError: The file is damaged.
    """
    try:
        file = open_pte(path)
    except NO_READER as error:
        return whole_file(path, error)
    ((_, blob),) = file.blobs()
    with unpacked(blob) as model:
        operators = package_operators(model.package)
    return Inspection(pte_parts(file, _package_parts), operators)


def _package_parts(blob: bytes) -> list[Part]:
    with unpacked(blob) as model:
        parts = package_parts(model.package)
    rest = len(blob) - sum(part.bytes for part in parts)
    return [*parts, Part("metadata", "directory of the Core ML delegate", rest)]
