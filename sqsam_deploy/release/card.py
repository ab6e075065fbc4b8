"""The model card: `README.md` of a release, with the front matter the Hugging Face Hub reads."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqsam_deploy.artifact.manifest import Agreement, ArtifactEntry, Manifest
from sqsam_deploy.artifact.requirements import Requirements
from sqsam_deploy.release.document import (
    LICENSE_NAME,
    SBOM_NAME,
    Drift,
    Latency,
    ReleasedArtifact,
    Verification,
)
from sqsam_deploy.release.rendering import render
from sqsam_deploy.runtimes.base import EVERYWHERE
from sqsam_deploy.runtimes.registry import all_runtimes, requirements_of, runtime_names

if TYPE_CHECKING:  # it imports NumPy, which a job that only pulls may lack
    from sqsam_deploy.release.evidence import ParityResult

#: License identifiers of the Hub that model weights come under; it takes others as "other", with an
#: identifier of one's own and the name of a file in the repository
#: (https://huggingface.co/docs/hub/repositories-licenses).
_HUB_LICENSES = frozenset(
    {
        "agpl-3.0",
        "apache-2.0",
        "bsd-2-clause",
        "bsd-3-clause",
        "cc-by-4.0",
        "cc-by-nc-4.0",
        "cc-by-nc-sa-4.0",
        "cc-by-sa-4.0",
        "cc0-1.0",
        "gpl-3.0",
        "lgpl-3.0",
        "mit",
        "mpl-2.0",
        "unlicense",
    }
)


@dataclass(frozen=True)
class CardContent:
    """The content of a card, apart from the manifest."""

    name: str
    version: str
    verification: Verification
    artifacts: tuple[ReleasedArtifact, ...]
    parity: "ParityResult | None" = None


@dataclass(frozen=True)
class _Row:
    artifact: ReleasedArtifact
    agreement: Agreement


@dataclass(frozen=True)
class _Accuracy:
    """mIoU of one artifact, in the order of the table's prompts; None where not measured."""

    path: str
    precision: str
    miou: tuple[float | None, ...]


@dataclass(frozen=True)
class _Choice:
    """The file to take on some systems."""

    systems: str
    title: str
    artifact: ArtifactEntry


def model_card(content: CardContent, manifest: Manifest) -> str:
    """The card as Markdown."""
    return render(
        "card.md.j2",
        _variables(content, manifest),
        {
            "megabytes": _megabytes,
            "interval": _interval,
            "milliseconds": _milliseconds,
            "line": _line,
        },
    )


def _variables(content: CardContent, manifest: Manifest) -> dict[str, object]:
    choices = list(_choices(_main(manifest)))
    agreements = {entry.path: entry.agreement for entry in manifest.artifacts}
    latencies = [
        (artifact.path, latency) for artifact in content.artifacts for latency in artifact.latency
    ]
    return {
        "name": content.name,
        "version": content.version,
        "manifest": manifest,
        "described": choices[0].artifact if choices else manifest.artifacts[0],
        "rows": [_Row(artifact, agreements[artifact.path]) for artifact in content.artifacts],
        "latencies": latencies,
        "noisy": any(latency.believable is False for _, latency in latencies),
        "verification": content.verification,
        "passed": content.verification.status == "passed",
        "kinds": _kinds(content.parity),
        "accuracy": _accuracy(content.parity, manifest),
        "photos": content.parity.dataset if content.parity else None,
        "choices": choices,
        "needed": _needed(manifest),
        "other_tasks": sorted({e.metadata.task for e in manifest.artifacts} - {"segmentation"}),
        "hub_license": _hub_license(manifest.weights.license),
        "license_name": _license_name(manifest),
        "license_file": LICENSE_NAME,
        "no_license": _NO_LICENSE,
        "tags": _tags(content.artifacts),
        "sbom": SBOM_NAME,
    }


def license_text(manifest: Manifest) -> str:
    """`LICENSE.md` of a release: the terms that each checkpoint states."""
    parts = ["# License of the weights\n"]
    for weights in (manifest.weights, manifest.saliency_weights):
        if weights is not None:
            note = weights.license or _NO_LICENSE
            parts.append(f"`{weights.name}`, SHA-256 `{weights.sha256}`:\n\n> {_line(note)}\n")
    return "\n".join(parts)


_NO_LICENSE = "The checkpoint carries no license note: ask who trained it before you ship it."


def _line(text: str) -> str:
    return " ".join(text.split())


def _main(manifest: Manifest) -> Sequence[ArtifactEntry]:
    """The artifacts that make masks; all, where none does."""
    found = [entry for entry in manifest.artifacts if entry.metadata.prompts is not None]
    return found or manifest.artifacts


def _needed(manifest: Manifest) -> list[tuple[str, Requirements]]:
    """Every artifact whose runtime is installed here, with what an app needs for it."""
    known = [entry for entry in manifest.artifacts if entry.metadata.runtime in runtime_names()]
    found = [(entry.path, requirements_of(entry)) for entry in known]
    return [(path, needs) for path, needs in found if needs != Requirements()]


def _kinds(parity: "ParityResult | None") -> list[str]:
    covered = parity.artifacts.values() if parity else ()
    return list(dict.fromkeys(row.kind for artifact in covered for row in artifact.miou))


def _accuracy(parity: "ParityResult | None", manifest: Manifest) -> list[_Accuracy]:
    found = []
    for entry in manifest.artifacts:
        miou = parity.miou_of(entry) if parity else {}
        if parity and miou:
            values = tuple(miou.get(kind) for kind in _kinds(parity))
            found.append(_Accuracy(entry.path, entry.metadata.precision, values))
    return found


def _choices(artifacts: Sequence[ArtifactEntry]) -> Iterator[_Choice]:
    """The smallest file of each runtime; int8 needs the least time and memory too."""
    for runtime in all_runtimes():
        mine = [entry for entry in artifacts if entry.metadata.runtime == runtime.name]
        if mine:
            best = min(mine, key=lambda entry: (entry.metadata.precision != "int8", entry.bytes))
            systems = ", ".join(sorted(runtime.systems))
            named = "any system" if runtime.systems >= EVERYWHERE else systems
            yield _Choice(named, runtime.title, best)


def _hub_license(license: str | None) -> str:
    if license is None:
        return "unknown"
    return license.lower() if license.lower() in _HUB_LICENSES else "other"


def _license_name(manifest: Manifest) -> str:
    """An identifier for what is no license of the Hub: a short note itself, else the model's."""
    note = manifest.weights.license or ""
    text = note if len(note) <= _LONGEST_NAME else f"{manifest.name} license"
    return re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-.") or "other"


_LONGEST_NAME = 40


def _tags(artifacts: tuple[ReleasedArtifact, ...]) -> list[str]:
    facts = {artifact.runtime for artifact in artifacts} | {
        artifact.precision for artifact in artifacts
    }
    return ["squeezesam", "interactive-segmentation", "on-device", *sorted(facts)]


def _megabytes(count: int) -> str:
    return f"{count / 1e6:.2f}"


def _interval(drift: Drift | None) -> str:
    if drift is None:
        return "—"
    return f"{drift.mean:+.2f} [{drift.low:+.2f}, {drift.high:+.2f}]"


def _milliseconds(latency: Latency) -> str:
    mark = "*" if latency.believable is False else ""
    if latency.low is None or latency.high is None:
        return f"{latency.median:.1f}{mark}"
    return f"{latency.median:.1f}{mark} [{latency.low:.1f}, {latency.high:.1f}]"
