"""The plan of an evaluation: artifacts, protocols, seed. It travels to every worker process."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sqsam_deploy.artifact.metadata import ArtifactMetadata
from sqsam_deploy.errors import UsageError
from sqsam_deploy.evaluation.protocols import PromptProtocol
from sqsam_deploy.peers import Peer
from sqsam_deploy.runtimes.base import EVERYWHERE
from sqsam_deploy.runtimes.registry import all_runtimes


@dataclass(frozen=True)
class Artifact:
    """An artifact under test.

    Attributes:
        name: Path relative to the evaluated directory: its key in every result.
        path: Where it is.
        sha256: Of its bytes, as in the manifest.
        metadata: What it says of itself, or what the files of a peer show.
        reference: Name of the float artifact it is compared with; its own name for that one.
        sibling: Name of the first artifact of its preset and precision, perhaps itself.
    """

    name: str
    path: Path
    sha256: str
    metadata: ArtifactMetadata | Peer
    reference: str
    sibling: str

    @property
    def is_reference(self) -> bool:
        """Whether others are compared with it."""
        return self.name == self.reference


@dataclass(frozen=True)
class EvaluationPlan:
    """Everything that fixes the results of a run, but for the dataset.

    Attributes:
        artifacts: References first, each before what is compared with it.
        protocols: Where prompts come from.
        clicking: Whether simulated clicking runs too; it asks up to 20 times an object.
        threads: Threads of each session. One by default: the same in every process, whatever
            `--jobs`, so that results do not depend on it.
        device: Where torch runs checkpoints: "cpu", "cuda", "cuda:1".
    """

    artifacts: tuple[Artifact, ...]
    protocols: tuple[PromptProtocol, ...]
    clicking: bool
    threads: int
    device: str = "cpu"

    @property
    def kinds(self) -> tuple[str, ...]:
        """Prompt kinds in the order of the protocols."""
        return tuple(kind for protocol in self.protocols for kind in protocol.kinds)

    def fingerprint(self) -> str:
        """Equal for two runs whose results must be equal on the same dataset."""
        parts = [repr([(a.name, a.sha256, a.reference, a.sibling) for a in self.artifacts])]
        parts += [repr(protocol) for protocol in self.protocols]
        parts += [repr((self.clicking, self.threads, self.device))]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()


@dataclass(frozen=True)
class Loaded:
    """An artifact that was opened, before it is known what it is compared with."""

    name: str
    path: Path
    sha256: str
    metadata: ArtifactMetadata | Peer


def assign_references(loaded: Sequence[Loaded], reference: str | None) -> tuple[Artifact, ...]:
    """Gives every artifact the float artifact of its preset, references first.

    Args:
        loaded: All artifacts, the reference among them.
        reference: Name of the reference, or None for the first fp32 one by `rank`.

    Raises:
        UsageError: A preset has no fp32 artifact, or `reference` is of another preset. Peers are
            compared with their own float files, whatever `reference` is.
    """
    presets = dict.fromkeys(item.metadata.preset for item in loaded)
    chosen = {name: _reference(loaded, name, reference) for name in presets}
    ordered = sorted(loaded, key=lambda item: chosen[item.metadata.preset].name != item.name)
    siblings: dict[tuple[str, str], str] = {}
    for item in ordered:
        siblings.setdefault((item.metadata.preset, item.metadata.precision), item.name)
    return tuple(
        _artifact(
            item,
            reference=chosen[item.metadata.preset].name,
            sibling=siblings[item.metadata.preset, item.metadata.precision],
        )
        for item in ordered
    )


def own_references(loaded: Sequence[Loaded]) -> tuple[Artifact, ...]:
    """Every artifact by itself, compared with nothing."""
    return tuple(_artifact(item, reference=item.name, sibling=item.name) for item in loaded)


def _artifact(item: Loaded, *, reference: str, sibling: str) -> Artifact:
    return Artifact(item.name, item.path, item.sha256, item.metadata, reference, sibling)


def _reference(loaded: Sequence[Loaded], preset: str, reference: str | None) -> Loaded:
    of_preset = [item for item in loaded if item.metadata.preset == preset]
    floats = [item for item in of_preset if item.metadata.precision == "fp32"]
    if isinstance(of_preset[0].metadata, Peer):
        # A peer of which there is no float file is scored all the same.
        return (floats or of_preset)[0]
    if reference is not None:
        named = [item for item in of_preset if item.name == reference]
        if not named:
            raise UsageError(f"the reference '{reference}' is not of preset '{preset}'")
        return named[0]
    if not floats:
        raise UsageError(
            f"no fp32 artifact of preset '{preset}' to compare with: name one with --reference"
        )
    return min(floats, key=rank)


def rank(item: Loaded) -> int:
    """torch, which is the network itself, then runtimes that run everywhere, then the others."""
    ordered = sorted(all_runtimes(), key=lambda runtime: not runtime.systems >= EVERYWHERE)
    names = [runtime.name for runtime in ordered]
    return names.index(item.metadata.runtime) + 1 if item.metadata.runtime in names else 0
