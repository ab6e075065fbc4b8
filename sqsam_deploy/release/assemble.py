"""Putting a release together from an export directory: files, card, bill, document, signature.

The same directory gives the same files, the time of publishing and the signature apart.
"""

import os
import re
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from sqsam_deploy.artifact.files import FileEntry, file_entries, hash_file
from sqsam_deploy.artifact.manifest import MANIFEST_NAME, ArtifactEntry, Manifest, verify_files
from sqsam_deploy.checkpoint.bundled import bundled_by_hash
from sqsam_deploy.errors import ArtifactError, SqsamError, UsageError
from sqsam_deploy.release.card import CardContent, license_text, model_card
from sqsam_deploy.release.document import (
    CARD_NAME,
    LICENSE_NAME,
    RELEASE_NAME,
    SBOM_NAME,
    SIGNATURE_NAME,
    Latency,
    Release,
    ReleasedArtifact,
    Verification,
    record_text,
    release_bytes,
)
from sqsam_deploy.release.evidence import (
    PARITY_NAME,
    ParityResult,
    read_latencies,
    read_parity,
    require_passed,
)
from sqsam_deploy.release.request import PublishRequest
from sqsam_deploy.release.sbom import bill_of_materials
from sqsam_deploy.release.signature import Signer
from sqsam_deploy.runtimes.registry import artifact_suffixes

#: Reports to look at: of the export and of the parity gate.
REPORT_NAMES = ("report.html", "parity.html")
_EPOCH_VARIABLE = "SOURCE_DATE_EPOCH"


@dataclass(frozen=True)
class Assembled:
    """A release in a local directory.

    Attributes:
        record: `SHA256SUMS` of all its files, document and signature included.
    """

    directory: Path
    release: Release
    record: str


def check_directory(directory: Path, manifest: Manifest) -> None:
    """Refuses a directory that is not what its manifest says.

    Raises:
        ArtifactError: A file is missing, differs, or is an artifact the manifest does not know.
    """
    if not manifest.artifacts:
        raise ArtifactError(f"{directory} holds no artifacts: export some")
    verify_files(directory, manifest)
    listed = {artifact.path for artifact in manifest.artifacts}
    for path in sorted(directory.iterdir()):
        if path.suffix in artifact_suffixes() and path.name not in listed:
            raise ArtifactError(
                f"{path} is not listed in {MANIFEST_NAME}: remove it, or export again"
            )


def assemble(workspace: Path, request: PublishRequest, manifest: Manifest, name: str) -> Release:
    """Writes every file of the release but its own document into an empty directory.

    Raises:
        GateError: The parity gate did not pass.
        ArtifactError: The parity result or a benchmark result is missing or of other artifacts.
    """
    parity = _read_parity(request)
    verification = _judge(request, parity, manifest)
    result = parity if isinstance(parity, ParityResult) else None
    latencies = read_latencies(request.benchmarks, manifest)
    artifacts = tuple(
        _store(workspace, request.directory, artifact, result, latencies.get(artifact.path, ()))
        for artifact in manifest.artifacts
    )
    _copy_documents(workspace, request, manifest)
    if result is not None:
        shutil.copyfile(_parity_path(request), workspace / PARITY_NAME)
    content = CardContent(name, request.version, verification, artifacts, result)
    _write_documents(workspace, content, manifest)
    return Release(
        name=name,
        version=content.version,
        published=_now(),
        preset=manifest.preset,
        license=manifest.weights.license,
        verification=verification,
        artifacts=artifacts,
        files=file_entries(workspace, sorted(workspace.iterdir())),
    )


def _parity_path(request: PublishRequest) -> Path:
    return request.parity or request.directory / PARITY_NAME


def _read_parity(request: PublishRequest) -> ParityResult | SqsamError:
    try:
        return read_parity(_parity_path(request))
    except SqsamError as error:
        return error


def _judge(
    request: PublishRequest, parity: ParityResult | SqsamError, manifest: Manifest
) -> Verification:
    """The gate's word; "unverified" only where that was allowed."""
    try:
        if isinstance(parity, SqsamError):
            raise parity
        require_passed(parity, manifest)
    except SqsamError as error:
        if not request.allow_unverified:
            raise
        # The part behind the colon tells the publisher what to do, not the reader what is.
        reason = str(error).replace(str(_parity_path(request)), PARITY_NAME).partition(":")[0]
        return Verification(status="unverified", reason=reason)
    return Verification(status="passed")


def _store(
    workspace: Path,
    directory: Path,
    artifact: ArtifactEntry,
    parity: ParityResult | None,
    latency: tuple[Latency, ...],
) -> ReleasedArtifact:
    """Copies one artifact's files and describes it."""
    for entry in artifact.files:
        _copy(directory, workspace, entry)
    return ReleasedArtifact(
        path=artifact.path,
        runtime=artifact.metadata.runtime,
        precision=artifact.metadata.precision,
        sha256=artifact.sha256,
        bytes=artifact.bytes,
        minimum_runtime=artifact.minimum_runtime,
        drift=parity.drift_of(artifact) if parity else None,
        latency=latency,
    )


def _copy(directory: Path, workspace: Path, entry: FileEntry) -> None:
    target = workspace / entry.path
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(directory / entry.path, target)
    if hash_file(target) != entry.sha256:
        raise ArtifactError(f"{directory / entry.path} changed while it was copied: publish again")


def _copy_documents(workspace: Path, request: PublishRequest, manifest: Manifest) -> None:
    for entry in manifest.extra_files:
        _copy(request.directory, workspace, entry)
    shutil.copyfile(request.directory / MANIFEST_NAME, workspace / MANIFEST_NAME)
    for name in REPORT_NAMES:
        report = request.directory / name
        if report.is_file() and not (workspace / name).exists():
            shutil.copyfile(report, workspace / name)
    for weights in (manifest.weights, manifest.saliency_weights):
        # The license notes of bundled weights refer to their cards.
        bundled = bundled_by_hash(weights.sha256) if weights else None
        if bundled is not None:
            card = bundled.with_suffix(".md")
            shutil.copyfile(card, workspace / card.name)


def _write_documents(workspace: Path, content: CardContent, manifest: Manifest) -> None:
    texts = {CARD_NAME: model_card(content, manifest), LICENSE_NAME: license_text(manifest)}
    for name, text in texts.items():
        (workspace / name).write_text(text, encoding="utf-8", newline="\n")
    bill = bill_of_materials(manifest, content.name, content.version)
    (workspace / SBOM_NAME).write_bytes(bill)


def seal(workspace: Path, release: Release, signer: Signer | None) -> Assembled:
    """Writes the document and its signature; together they pin every other file.

    Raises:
        UsageError: The key cannot be used.
        ReleaseError: Keyless signing failed.
    """
    document = workspace / RELEASE_NAME
    document.write_bytes(release_bytes(release))
    signature = None
    if signer is not None:
        signer.sign(document, workspace / SIGNATURE_NAME)
        signature = hash_file(workspace / SIGNATURE_NAME)
    return Assembled(workspace, release, record_text(release, hash_file(document), signature))


def _now() -> str:
    """The time of publishing; `SOURCE_DATE_EPOCH` fixes it (reproducible-builds.org).

    Raises:
        UsageError: The variable is set to something else than seconds since 1970.
    """
    fixed = os.environ.get(_EPOCH_VARIABLE)
    if fixed and not re.fullmatch("[0-9]{1,11}", fixed):
        raise UsageError(
            f"{_EPOCH_VARIABLE} is {fixed[:40]!r}: it must be a whole number of seconds since 1970"
        )
    seconds = int(fixed) if fixed else time.time()
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
