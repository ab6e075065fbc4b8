"""The page in four numbers."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqsam_deploy.export_report.sections.layers import QuantizedLayers, display_name
from sqsam_deploy.export_report.sections.operators import RuntimeOperators
from sqsam_deploy.export_report.sections.sizes import SizedArtifact


@dataclass(frozen=True)
class Fact:
    """A number and what it is."""

    number: str
    meaning: str


def key_facts(
    sizes: Sequence[SizedArtifact],
    operators: Sequence[RuntimeOperators],
    layers: Sequence[QuantizedLayers],
) -> tuple[Fact, ...]:
    """What a reader wants to know first; only what this export has."""
    facts = [_smallest(sizes), _lowest_agreement(sizes)]
    for found in operators:
        if found.costly:
            count, files = sum(group.total for group in found.costly), len(found.artifacts)
            where = f"{found.costly[0].title}, in {files} {found.title} file{'s'[: files > 1]}"
            facts.append(Fact(str(count), f"operators {where}"))
    if layers:
        worst = layers[0].worst[0]
        facts.append(
            Fact(
                f"{worst.snr_db:.1f} dB", f"lowest signal-to-noise ratio, of {display_name(worst)}"
            )
        )
    return tuple(facts)


def _smallest(sizes: Sequence[SizedArtifact]) -> Fact:
    """Of the segmentation network, if the export has it."""
    main = [item for item in sizes if item.entry.metadata.task == "segmentation"] or sizes
    smallest = min(main, key=lambda item: item.entry.bytes)
    meaning = f"smallest artifact, {smallest.entry.path}; {smallest.overhead:.1%} of it is overhead"
    return Fact(f"{smallest.entry.bytes / 1e6:.2f} MB", meaning)


def _lowest_agreement(sizes: Sequence[SizedArtifact]) -> Fact:
    lowest = min(sizes, key=lambda item: item.entry.agreement.mean_mask_iou)
    agreement = lowest.entry.agreement
    meaning = f"lowest mean agreement with the float network, {lowest.entry.path}"
    return Fact(f"{agreement.mean_mask_iou:.4f}", meaning)
