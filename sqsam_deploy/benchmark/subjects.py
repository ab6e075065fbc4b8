"""Everything one run measures: artifacts of directories, torch, peers and peak kernels."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from sqsam_deploy.artifact.documents import Frozen, parse_json, validate_document
from sqsam_deploy.artifact.files import hash_file
from sqsam_deploy.artifact.manifest import ArtifactEntry, read_manifest
from sqsam_deploy.artifact.metadata import ArtifactMetadata, PrecisionName
from sqsam_deploy.benchmark.jobs import JobKind
from sqsam_deploy.benchmark.result import NotMeasured, Subject
from sqsam_deploy.benchmark.roofline import PeakKernel
from sqsam_deploy.errors import ArtifactError, UsageError
from sqsam_deploy.peers import Peer, parse_peer, read_peer
from sqsam_deploy.peers.graphs import content_sha256, external_files, read_graph
from sqsam_deploy.runtimes.registry import require_library, runtime_of_metadata, runtimes_for

PEERS_NAME = "peers.json"


@dataclass(frozen=True)
class RunnableSubject:
    """A subject and how a worker opens it.

    Attributes:
        kind: What the worker does with the target.
        target: Path of a file, or name of a preset.
        metadata: Of an artifact.
        peer: All files of a peer.
        program: The worker, with its arguments, where it is not Python's; "{threads}" stands for
            their number.
        variant: Of the setup; empty where there is only one way.
    """

    subject: Subject
    kind: JobKind
    target: str
    metadata: ArtifactMetadata | None = None
    peer: tuple[str, ...] = ()
    program: tuple[str, ...] = ()
    variant: str = ""


class PeerEntry(Frozen):
    """One file of a directory of peers.

    Attributes:
        file: Name of the file beside `peers.json`, of any runtime that times any network.
        network: What it is, with its paper's name for it.
        scope: "image encoder" or "whole network".
        macs: Multiply-accumulates of one inference.
        parameters: Weights.
        input_size: Side of its square input.
        precision: Of weights and arithmetic.
        signal_to_noise: Of a quantized file's output against the float network's, on a photo, in
            dB; None for a float file.
    """

    file: str
    network: str
    scope: str
    macs: int = Field(gt=0)
    parameters: int = Field(gt=0)
    input_size: int
    precision: PrecisionName = "fp32"
    signal_to_noise: float | None = None


class Peers(Frozen):
    """`peers.json`: what `benchmarks/peers` built, with random weights."""

    peers: tuple[PeerEntry, ...]


def artifact_targets(directory: Path) -> tuple[list[RunnableSubject], list[NotMeasured]]:
    """The artifacts that a directory's manifest lists, and those this system cannot run.

    Raises:
        ArtifactError: There is no manifest, or a file is not the one it lists.
        MissingDependencyError: The library that runs an artifact is not installed.
    """
    targets, left_out = [], []
    for entry in read_manifest(directory).artifacts:
        path = directory / entry.path
        # A reference executor's time would say nothing.
        runtime = runtime_of_metadata(entry.metadata, path)
        reason = runtime.runs_here()
        if reason is not None:
            left_out.append(NotMeasured(subject=entry.path, setup="cpu", reason=reason))
            continue
        require_library(runtime)
        _check_content(directory, entry)
        subject = artifact_subject(entry)
        targets.append(RunnableSubject(subject, "artifact", str(path), entry.metadata))
    return targets, left_out


def _check_content(directory: Path, entry: ArtifactEntry) -> None:
    for file in entry.files:
        path = directory / file.path
        if not path.is_file() or hash_file(path) != file.sha256:
            raise ArtifactError(f"{path} is not the file that the manifest lists: export it again")


def artifact_subject(entry: ArtifactEntry) -> Subject:
    """An artifact of a manifest as a subject, with the work of its preset."""
    from sqsam_deploy.benchmark.macs import preset_work

    metadata = entry.metadata
    work = preset_work(metadata.preset)
    return Subject(
        name=entry.path,
        role="artifact",
        runtime=metadata.runtime,
        precision=metadata.precision,
        preset=metadata.preset,
        sha256=entry.sha256,
        bytes=entry.bytes,
        macs=work.macs,
        parameters=work.parameters,
    )


def network_target(preset_name: str) -> RunnableSubject:
    """A preset in torch on the CPU, with random weights."""
    from sqsam_deploy.benchmark.macs import preset_work

    work = preset_work(preset_name)
    subject = Subject(
        name=f"{preset_name} torch",
        role="network",
        runtime="torch",
        precision="fp32",
        preset=preset_name,
        macs=work.macs,
        parameters=work.parameters,
        random_weights=True,
    )
    return RunnableSubject(subject, "network", preset_name)


def peer_targets(directory: Path) -> list[RunnableSubject]:
    """The networks that `benchmarks/peers` wrote into a directory.

    Raises:
        ArtifactError: It holds no `peers.json`, or a file of it is missing.
    """
    path = directory / PEERS_NAME
    try:
        document = parse_json(path.read_bytes(), str(path))
    except FileNotFoundError:
        raise ArtifactError(
            f"{directory} has no {PEERS_NAME}: build it with benchmarks/peers/build.py"
        ) from None
    return [
        _peer(directory, entry) for entry in validate_document(Peers, document, str(path)).peers
    ]


def _peer(directory: Path, entry: PeerEntry) -> RunnableSubject:
    path = directory / entry.file
    if not path.is_file():
        raise ArtifactError(f"{path} is missing: build it with benchmarks/peers/build.py")
    precision = "" if entry.precision == "fp32" else f" {entry.precision}"
    subject = Subject(
        name=f"{entry.network}{precision} {path.suffix}",
        role="peer",
        runtime=runtimes_for(path)[0].name,
        precision=entry.precision,
        scope=f"{entry.scope}, {entry.input_size}²",
        sha256=hash_file(path),
        # Networks over 2 GB keep their weights in a second file.
        bytes=sum(file.stat().st_size for file in directory.glob(f"{path.name}*")),
        macs=entry.macs,
        parameters=entry.parameters,
        random_weights=True,
    )
    return RunnableSubject(subject, "plain", str(path))


def exported_peer_targets(option: str) -> list[RunnableSubject]:
    """The files of a peer that its own exporter wrote, each by itself.

    Args:
        option: `NAME=ENCODER.onnx+DECODER.onnx`, or `NAME=FILE.onnx`.

    Raises:
        UsageError: It is not written so.
        ArtifactError: A file is missing, or of no form that is read.
    """
    peer = read_peer(*parse_peer(option))
    parts = ("image encoder", "mask decoder") if len(peer.files) == 2 else ("whole network",)
    return [_exported(peer, path, part) for path, part in zip(peer.files, parts, strict=True)]


def _exported(peer: Peer, path: Path, part: str) -> RunnableSubject:
    graph = read_graph(path)
    subject = Subject(
        name=f"{peer.preset} {path.name}",
        role="peer",
        runtime=peer.runtime,
        precision=graph.precision,
        scope=part,
        sha256=content_sha256([path]),
        bytes=sum(file.stat().st_size for file in (path, *external_files(path))),
        parameters=graph.parameters or None,
    )
    return RunnableSubject(subject, "peer", str(path), peer=tuple(map(str, peer.files)))


def peak_target(kernel: PeakKernel) -> RunnableSubject:
    """A peak kernel as a subject."""
    subject = Subject(
        name=kernel.path.name,
        role="peak",
        runtime=kernel.runtime,
        precision=kernel.precision,
        scope="one kernel",
        bytes=kernel.path.stat().st_size,
        macs=kernel.macs,
        random_weights=True,
    )
    return RunnableSubject(subject, "plain", str(kernel.path))


def check_names(targets: Sequence[RunnableSubject]) -> None:
    """Rows are found again by name, so no two subjects may share one.

    Raises:
        UsageError: Two of them do.
    """
    names = [target.subject.name for target in targets]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"two subjects are called {name}: measure their directories apart")
