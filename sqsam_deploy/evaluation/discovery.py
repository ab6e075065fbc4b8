"""Which artifacts a directory holds, and what they say of themselves."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from sqsam_deploy.artifact.files import files_in, hash_file, sums_text
from sqsam_deploy.artifact.manifest import MANIFEST_NAME, ArtifactEntry, read_manifest
from sqsam_deploy.artifact.metadata import ArtifactMetadata
from sqsam_deploy.checkpoint.bundled import bundled_by_hash, weights_file
from sqsam_deploy.errors import ArtifactError, UsageError
from sqsam_deploy.evaluation.plan import Artifact, Loaded, assign_references, own_references, rank
from sqsam_deploy.model.config import PRESETS
from sqsam_deploy.peers import parse_peer, read_peer
from sqsam_deploy.runtimes.registry import (
    CHECKPOINT_SUFFIXES,
    artifact_suffixes,
    is_checkpoint,
    open_session,
    read_metadata,
)


def find_artifacts(
    directory: Path, only: Sequence[str] = (), reference: Path | None = None
) -> tuple[Artifact, ...]:
    """The artifacts to compare, and the float ones that they are compared with, which come first.

    Artifacts are found by the manifest or, without one, by their suffixes. Where no reference is
    named and the directory has no fp32 artifact, the weights that the artifacts were made from
    are taken: the bundled ones, or a file that lies beside, by their SHA-256.

    Args:
        directory: What `sqsam-export` wrote, or any directory with artifacts and checkpoints.
        only: Names to keep beside the reference, or empty for all.
        reference: Artifact of the directory, or any artifact or checkpoint.

    Raises:
        UsageError: The directory does not exist, has no artifact, or lacks one of `only`; or no
            reference is known.
        ArtifactError: An artifact is damaged.
    """
    found, chosen = _chosen(directory, only)
    if reference is not None:
        named = _named(reference, found, chosen)
        return assign_references([*chosen, *([] if named in chosen else [named])], named.name)
    for preset in dict.fromkeys(item.metadata.preset for item in chosen):
        if not any(_is_float(item, preset) for item in chosen):
            chosen.append(_float_source(directory, preset, found.values()))
    return assign_references(chosen, None)


def artifacts_alone(directory: Path, only: Sequence[str] = ()) -> tuple[Artifact, ...]:
    """The artifacts of a directory, each by itself; arguments and errors of `find_artifacts`."""
    return own_references(_chosen(directory, only)[1])


def _chosen(directory: Path, only: Sequence[str]) -> tuple[dict[str, Loaded], list[Loaded]]:
    """Everything that lies there by its name, and what of it was chosen."""
    if not directory.is_dir():
        raise UsageError(f"{directory} is not a directory with artifacts")
    found = {item.name: item for item in _listed(directory) or _lying_there(directory)}
    unknown = [name for name in only if name not in found]
    if unknown:
        raise UsageError(f"{directory} has no artifact '{unknown[0]}', but {', '.join(found)}")
    if not found:
        known = ", ".join(artifact_suffixes())
        raise UsageError(f"{directory} has no artifact ({known}): run sqsam-export first")
    return found, [item for item in found.values() if not only or item.name in only]


def _named(reference: Path, found: Mapping[str, Loaded], chosen: Sequence[Loaded]) -> Loaded:
    if (name := reference.as_posix()) in found:
        return found[name]
    namesake = found.get(reference.name)
    if namesake is not None and namesake.path.resolve() == reference.resolve():
        return namesake
    if namesake in chosen:
        raise UsageError(f"{reference} and an artifact have the same name: rename it")
    return load(reference.name, reference)


def _is_float(item: Loaded, preset: str) -> bool:
    return item.metadata.preset == preset and item.metadata.precision == "fp32"


def _float_source(directory: Path, preset: str, found: Iterable[Loaded]) -> Loaded:
    """An fp32 artifact that --only left out, or else the weights that were exported."""
    of_preset = [item for item in found if item.metadata.preset == preset]
    if floats := [item for item in of_preset if _is_float(item, preset)]:
        return min(floats, key=rank)
    wanted = of_preset[0].metadata.weights_sha256
    name = _weights_name(directory)
    weights = bundled_by_hash(wanted) or _lying_near(directory, name, wanted)
    if weights is None:
        raise UsageError(
            f"{directory} has no fp32 artifact to compare with, and the weights it was made from "
            f"({name or 'unnamed'}, SHA-256 {wanted}) are not at hand: name them with "
            "--reference FILE, or export with --fp32 too"
        )
    return load(weights.name, weights)


def _weights_name(directory: Path) -> str | None:
    has_manifest = (directory / MANIFEST_NAME).is_file()
    return read_manifest(directory).weights.name if has_manifest else None


def _lying_near(directory: Path, name: str | None, sha256: str) -> Path | None:
    """A weights file in the directory, beside it or where the program was started."""
    if name is None or name != Path(name).name:
        return None
    folders = dict.fromkeys((directory.absolute(), directory.absolute().parent, Path.cwd()))
    files = (folder / name for folder in folders)
    return next((file for file in files if file.is_file() and hash_file(file) == sha256), None)


def _listed(directory: Path) -> list[Loaded]:
    if not (directory / MANIFEST_NAME).is_file():
        return []
    entries = read_manifest(directory).artifacts
    return [_entry(directory, e) for e in entries if e.metadata.task == "segmentation"]


def _entry(directory: Path, entry: ArtifactEntry) -> Loaded:
    """An artifact with the manifest's metadata where that is of these very bytes, else its own."""
    path = directory / entry.path
    if not path.exists():
        raise ArtifactError(f"{path} does not exist")
    sha256 = artifact_sha256(path)
    metadata = entry.metadata if sha256 == entry.sha256 else _metadata(path)
    return Loaded(entry.path, path, sha256, metadata)


def _lying_there(directory: Path) -> list[Loaded]:
    suffixes = (*artifact_suffixes(), *CHECKPOINT_SUFFIXES)
    paths = sorted(path for path in directory.iterdir() if path.suffix in suffixes)
    found = [load(path.name, path) for path in paths]
    return [item for item in found if not _is_saliency(item)]


def _is_saliency(item: Loaded) -> bool:
    return isinstance(item.metadata, ArtifactMetadata) and item.metadata.task == "saliency"


def load(name: str, path: Path) -> Loaded:
    """Reads what one artifact or checkpoint says of itself, and its hash.

    Raises:
        ArtifactError: It is missing or damaged.
    """
    path = weights_file(path)
    if not path.exists():
        raise ArtifactError(f"{path} does not exist")
    return Loaded(name, path, artifact_sha256(path), _metadata(path))


def find_peers(options: Sequence[str]) -> list[Loaded]:
    """The networks that `--peer NAME=ENCODER.onnx+DECODER.onnx` names.

    Raises:
        UsageError: An option is not written so, or two files would have one name in the report.
        ArtifactError: A file is missing, or of no form that is read.
    """
    found: dict[str, Loaded] = {}
    for option in options:
        name, files = parse_peer(option)
        if name in PRESETS:
            raise UsageError(f"--peer {name}=... has the name of a preset: choose another")
        peer = read_peer(name, files)
        if peer.name in found:
            raise UsageError(
                f"two peers are '{peer.name}': give them different names, or measure them apart"
            )
        found[peer.name] = Loaded(peer.name, files[0], peer.weights_sha256, peer)
    return list(found.values())


def _metadata(path: Path) -> ArtifactMetadata:
    # A checkpoint says what it is only by its tensors.
    return open_session(path).metadata if is_checkpoint(path) else read_metadata(path)


def artifact_sha256(path: Path) -> str:
    """The digest that `ArtifactEntry.sha256` states, of the bytes that lie there now."""
    if path.is_file():
        return hash_file(path)
    digests = {file.relative_to(path).as_posix(): hash_file(file) for file in files_in(path)}
    return hashlib.sha256(sums_text(digests).encode()).hexdigest()
