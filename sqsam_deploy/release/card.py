"""The model card: `README.md` of a release, with the front matter the Hugging Face Hub reads."""

import re
from dataclasses import dataclass

from sqsam_deploy.artifact.manifest import Agreement, ArtifactEntry, Manifest
from sqsam_deploy.errors import MissingDependencyError
from sqsam_deploy.release.document import SBOM_NAME, Drift, Latency, ReleasedArtifact, Verification

#: Licence identifiers of the Hub that model weights come under; it takes others as "other".
_HUB_LICENCES = frozenset(
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


@dataclass(frozen=True)
class _Row:
    artifact: ReleasedArtifact
    agreement: Agreement


def model_card(content: CardContent, manifest: Manifest) -> str:
    """The card as Markdown.

    Raises:
        MissingDependencyError: Jinja2 is not installed.
    """
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined
    except ImportError:
        raise MissingDependencyError(
            "model cards need the package 'jinja2': pip install 'sqsam-deploy[release]'"
        ) from None
    environment = Environment(
        loader=PackageLoader("sqsam_deploy.release"),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,  # Markdown, made from documents that were validated
    )
    environment.filters |= {
        "megabytes": _megabytes,
        "interval": _interval,
        "milliseconds": _milliseconds,
    }
    return environment.get_template("card.md.j2").render(_variables(content, manifest))


def _variables(content: CardContent, manifest: Manifest) -> dict[str, object]:
    agreements = {entry.path: entry.agreement for entry in manifest.artifacts}
    latencies = [
        (artifact.path, latency) for artifact in content.artifacts for latency in artifact.latency
    ]
    return {
        "name": content.name,
        "version": content.version,
        "manifest": manifest,
        "described": _described(manifest),
        "rows": [_Row(artifact, agreements[artifact.path]) for artifact in content.artifacts],
        "latencies": latencies,
        "noisy": any(latency.believable is False for _, latency in latencies),
        "verification": content.verification,
        "passed": content.verification.status == "passed",
        "hub_licence": _hub_licence(manifest.weights.licence),
        "licence_slug": _slug(manifest.weights.licence or ""),
        "tags": _tags(content.artifacts),
        "sbom": SBOM_NAME,
    }


def _described(manifest: Manifest) -> ArtifactEntry:
    """The artifact whose inputs the card shows: the first that makes masks."""
    segmenting = (entry for entry in manifest.artifacts if entry.metadata.prompts is not None)
    return next(segmenting, manifest.artifacts[0])


def _hub_licence(licence: str | None) -> str:
    if licence is None:
        return "unknown"
    return licence.lower() if licence.lower() in _HUB_LICENCES else "other"


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:60].strip("-") or "other"


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
