"""Software bill of materials of a release: CycloneDX 1.6, JSON, the same bytes every time."""

import re
import uuid
from importlib.metadata import PackageNotFoundError, requires, version
from typing import TYPE_CHECKING

from sqsam_deploy.artifact.manifest import ArtifactEntry, Manifest

if TYPE_CHECKING:
    from cyclonedx.model import HashType
    from cyclonedx.model.component import Component

_NAMESPACE = uuid.UUID("6d9a7c0e-6f5e-5d1c-9f0a-1f4d7e1b2c3a")
_PACKAGE = "sqsam-deploy"


def bill_of_materials(manifest: Manifest, name: str, release: str) -> bytes:
    """The model, its weights, its artifacts, and the packages that made them.

    Versions come from the manifest, that is from the machine that exported; direct
    dependencies that the manifest does not name are added as installed here, and marked so. There
    is no time stamp and the serial number is derived from the content, so that the same export
    gives the same document.
    """
    from cyclonedx.model.bom import Bom
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.output.json import JsonV1Dot6

    model = Component(
        name=name,
        version=release,
        type=ComponentType.MACHINE_LEARNING_MODEL,
        bom_ref=f"{name}@{release}",
    )
    weights = Component(
        name=manifest.weights.name,
        type=ComponentType.DATA,
        bom_ref="weights",
        hashes=[_sha256(manifest.weights.sha256)],
    )
    artifacts = [_artifact(entry) for entry in manifest.artifacts]
    packages = [_package(*found) for found in _packages(manifest)]
    serial = uuid.uuid5(_NAMESPACE, f"{name}@{release}\n{manifest.model_dump_json()}")
    bom = Bom(serial_number=serial, components=[weights, *artifacts, *packages])
    bom.metadata.component = model
    # The library's default is the current time; the format does not ask for one.
    bom.metadata.timestamp = None  # type: ignore[assignment]
    bom.register_dependency(model, [weights, *artifacts])
    for artifact in artifacts:
        bom.register_dependency(artifact, [weights, *packages])
    return (str(JsonV1Dot6(bom).output_as_string(indent=2)) + "\n").encode()


def _sha256(digest: str) -> "HashType":
    from cyclonedx.model import HashAlgorithm, HashType

    return HashType(alg=HashAlgorithm.SHA_256, content=digest)


def _artifact(entry: ArtifactEntry) -> "Component":
    from cyclonedx.model.component import Component, ComponentType

    return Component(
        name=entry.path,
        type=ComponentType.FILE,
        bom_ref=f"artifact:{entry.path}",
        hashes=[_sha256(entry.sha256)],
        description=f"{entry.metadata.runtime}, {entry.metadata.precision}",
    )


def _package(name: str, installed: str, recorded: str) -> "Component":
    from cyclonedx.model import Property
    from cyclonedx.model.component import Component, ComponentType
    from packageurl import PackageURL

    url = PackageURL("pypi", None, name, installed)
    return Component(
        name=name,
        version=installed,
        type=ComponentType.LIBRARY,
        purl=url,
        bom_ref=str(url),
        properties=[Property(name="sqsam:recorded-at", value=recorded)],
    )


def _packages(manifest: Manifest) -> list[tuple[str, str, str]]:
    exported = [(name, installed, "export") for name, installed in manifest.tools.items()]
    others = [
        (name, installed, "publish")
        for name, installed in _installed_dependencies().items()
        if name not in manifest.tools
    ]
    return sorted(exported + others)


def _installed_dependencies() -> dict[str, str]:
    """Direct dependencies of this package, extras left out, with their installed versions."""
    found = {}
    for line in requires(_PACKAGE) or []:
        match = re.match(r"[A-Za-z0-9._-]+", line)
        if match is None or "extra ==" in line:
            continue
        try:
            found[match.group()] = version(match.group())
        except PackageNotFoundError:
            continue
    return found
