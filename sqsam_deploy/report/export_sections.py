"""Sizes, operators, folding and times of an export, as plain values for its page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sqsam_deploy.artifact.manifest import ArtifactEntry, Manifest
from sqsam_deploy.artifact.metadata import ArtifactMetadata
from sqsam_deploy.errors import ArtifactError
from sqsam_deploy.folding import FoldStep
from sqsam_deploy.folding.steps import Rule
from sqsam_deploy.report.export_layers import QuantizedLayers, display_name
from sqsam_deploy.runtimes.inspection import (
    KINDS,
    Inspection,
    Kind,
    OperatorGroup,
    Part,
    bytes_by_kind,
)
from sqsam_deploy.runtimes.profiling import OperatorCost, ProfiledRun
from sqsam_deploy.runtimes.registry import all_runtimes, runtime_of_metadata
from sqsam_deploy.runtimes.session import random_array


@dataclass(frozen=True)
class Share:
    """A piece of a bar.

    Attributes:
        kind: Names it, and its color.
        percent: Of the bar's full width.
        text: What a reader sees who points at it.
    """

    kind: str
    percent: float
    text: str


@dataclass(frozen=True)
class SizedArtifact:
    """One artifact with every byte of it.

    Attributes:
        entry: As the manifest has it.
        parts: Add up to its size.
        kinds: Sums by kind.
        bar: The kinds as shares of the largest artifact of the same task.
    """

    entry: ArtifactEntry
    parts: tuple[Part, ...]
    kinds: dict[Kind, int]
    bar: tuple[Share, ...]

    @property
    def overhead(self) -> float:
        """Share of its bytes that are neither weights nor their scales, 0 to 1."""
        return 1 - (self.kinds["weights"] + self.kinds["scales"]) / self.entry.bytes


def sized_artifacts(
    manifest: Manifest, inspections: Mapping[str, Inspection]
) -> tuple[SizedArtifact, ...]:
    """Every artifact of the manifest, in its order."""
    largest: dict[str, int] = {}
    for entry in manifest.artifacts:
        task = entry.metadata.task
        largest[task] = max(largest.get(task, 1), entry.bytes)
    return tuple(
        _sized(inspections[entry.path].parts, entry, largest[entry.metadata.task])
        for entry in manifest.artifacts
    )


def _sized(parts: tuple[Part, ...], entry: ArtifactEntry, largest: int) -> SizedArtifact:
    kinds = bytes_by_kind(parts)
    bar = tuple(
        Share(kind, 100 * kinds[kind] / largest, f"{kind}: {kinds[kind]:,} bytes")
        for kind in KINDS
        if kinds[kind]
    )
    return SizedArtifact(entry, parts, kinds, bar)


#: Inferences of which the median is taken, after two that the profilers do not count. Of a small
#: network one alone would show whatever else the machine did; a large one takes seconds for each.
COUNT, COUNT_OF_LARGE = 7, 1
#: Longest side of the images of a small network.
_SMALL = 512


def profiled_run(path: Path, metadata: ArtifactMetadata) -> ProfiledRun | None:
    """Profiles an artifact on random inputs, whose values do not change the time.

    Returns:
        None where this machine has no profiler for the artifact's runtime.
    """
    import torch

    runtime = runtime_of_metadata(metadata, path)
    count = COUNT if metadata.image_size <= _SMALL else COUNT_OF_LARGE
    feeds = [random_array(spec.shape, np.dtype(spec.dtype)) for spec in metadata.inputs]
    try:
        return runtime.profile(path, feeds, torch.get_num_threads(), count)
    except (ArtifactError, ImportError, OSError, RuntimeError, StopIteration):
        # Builds of a runtime without its profiler: the report has to be written all the same.
        return None


@dataclass(frozen=True)
class RuntimeOperators:
    """Operators of the artifacts of one runtime, whose groups are the same for all of them.

    Attributes:
        title: What the runtime is called.
        seen: How they are known.
        artifacts: Groups of each artifact.
    """

    title: str
    seen: str
    artifacts: dict[str, tuple[OperatorGroup, ...]]

    @property
    def groups(self) -> tuple[str, ...]:
        """Titles of the groups."""
        return tuple(group.title for group in next(iter(self.artifacts.values())))

    @property
    def kinds(self) -> list[tuple[list[str], tuple[OperatorGroup, ...]]]:
        """Groups with operators, for all the artifacts that have the same ones."""
        found: dict[tuple[OperatorGroup, ...], list[str]] = {}
        for name, groups in self.artifacts.items():
            filled = tuple(group for group in groups if group.operators)
            found.setdefault(filled, []).append(name)
        return [(names, groups) for groups, names in found.items()]

    @property
    def costly(self) -> tuple[tuple[str, OperatorGroup], ...]:
        """Artifact and group, of those groups of which a good artifact has nothing."""
        every = ((name, group) for name, groups in self.artifacts.items() for group in groups)
        return tuple((name, group) for name, group in every if group.is_costly)


def operators_by_runtime(
    manifest: Manifest,
    inspections: Mapping[str, Inspection],
    runs: Mapping[str, ProfiledRun | None],
) -> list[RuntimeOperators]:
    """Operators as the files tell them, and otherwise as the runtime's profile does."""
    found = []
    for runtime in all_runtimes():
        names = [e.path for e in manifest.artifacts if e.metadata.runtime == runtime.name]
        read = {n: inspections[n].operators for n in names if inspections[n].operators}
        ran = {n: run.operators for n in names if (run := runs[n]) and run.operators}
        if read:
            found.append(RuntimeOperators(runtime.title, "read from the files", read))
        elif ran:
            seen = "the kernels of one inference, from its own profile"
            found.append(RuntimeOperators(runtime.title, seen, ran))
    return found


#: Kinds of operators shown by name.
SHOWN = 7


@dataclass(frozen=True)
class TimeShare:
    """A kind of operator.

    Attributes:
        operator: The runtime's own name.
        place: What ran it.
        calls: In one inference.
        share: Of the whole inference, 0 to 1.
    """

    operator: str
    place: str
    calls: int
    share: float


@dataclass(frozen=True)
class DividedTime:
    """One artifact's time.

    Attributes:
        artifact: Its name.
        tool: What measured it.
        shares: The costliest first, what is left last.
    """

    artifact: str
    tool: str
    shares: tuple[TimeShare, ...]


def divided_times(runs: Mapping[str, ProfiledRun | None]) -> tuple[DividedTime, ...]:
    """Shares of every artifact that was profiled."""
    return tuple(
        DividedTime(name, run.profile.tool, _shares(run.profile.operators))
        for name, run in runs.items()
        if run is not None
    )


def _shares(costs: tuple[OperatorCost, ...]) -> tuple[TimeShare, ...]:
    """Of the sum of all costs: each is a median of its own, so they do not add up to the whole."""
    whole = sum(cost.milliseconds for cost in costs) or 1.0
    shown = [
        TimeShare(cost.operator, cost.place, cost.calls, cost.milliseconds / whole)
        for cost in costs[:SHOWN]
    ]
    rest = costs[SHOWN:]
    if rest:
        calls, left = sum(cost.calls for cost in rest), sum(cost.milliseconds for cost in rest)
        shown.append(TimeShare("all others", "", calls, left / whole))
    return tuple(shown)


_MEANING: dict[Rule, str] = {
    "pixel scaling": "mean and standard deviation of the pixels are in the first convolution",
    "conv-bn": "a norm right after a convolution is in its weights and bias",
    "conv-transpose-bn": "the same of a transposed convolution",
    "conv-relu-bn": "a norm after the ReLU is in the next convolution, its border included",
    "linear-relu-bn-shuffle": "the same across the pixel shuffle",
    "group norm, explicit": "written out in plain arithmetic; its statistics are the image's own",
    "single key attention": "attention to one key is that key's value: a linear layer is left",
    "unused": "the result never used it",
    "kept": "still a norm of its own",
}


@dataclass(frozen=True)
class FoldedRule:
    """All steps of one rule.

    Attributes:
        rule: Its name.
        meaning: One sentence.
        steps: In the network's order.
    """

    rule: Rule
    meaning: str
    steps: tuple[FoldStep, ...]


def folded_rules(steps: Sequence[FoldStep]) -> tuple[FoldedRule, ...]:
    """Steps by rule, in the order in which the rules occur."""
    rules = dict.fromkeys(step.rule for step in steps)
    return tuple(
        FoldedRule(rule, _MEANING[rule], tuple(step for step in steps if step.rule == rule))
        for rule in rules
    )


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
    """The facts that a reader wants first, all about the artifacts of the main network.

    It is the segmentation network where the export has it, and everything otherwise.
    """
    main = [item for item in sizes if item.entry.metadata.task == "segmentation"] or list(sizes)
    facts = [_smallest(main), _lowest_agreement(main)]
    facts += [fact for found in operators if (fact := _costly(found, main)) is not None]
    if layers:
        worst = layers[0].worst[0]
        facts.append(
            Fact(
                f"{worst.snr_db:.1f} dB", f"lowest signal-to-noise ratio, of {display_name(worst)}"
            )
        )
    return tuple(facts)


def _smallest(main: Sequence[SizedArtifact]) -> Fact:
    smallest = min(main, key=lambda item: item.entry.bytes)
    overhead = f"{smallest.overhead:.1%} of it is overhead"
    meaning = f"smallest of {_count(main)}: {smallest.entry.path}; {overhead}"
    return Fact(f"{smallest.entry.bytes / 1e6:.2f} MB", meaning)


def _lowest_agreement(main: Sequence[SizedArtifact]) -> Fact:
    lowest = min(main, key=lambda item: item.entry.agreement.mean_mask_iou)
    agreement = lowest.entry.agreement
    meaning = f"lowest mean mask IoU with the float network of {_count(main)}: {lowest.entry.path}"
    return Fact(f"{agreement.mean_mask_iou:.4f}", meaning)


def _count(main: Sequence[SizedArtifact]) -> str:
    return f"{len(main)} {main[0].entry.metadata.task} artifact{'s'[: len(main) > 1]}"


def _costly(found: RuntimeOperators, main: Sequence[SizedArtifact]) -> Fact | None:
    """Operators of which a good artifact of a runtime has none; None where nothing is known."""
    names = {item.entry.path for item in main}
    costly = [group for name, group in found.costly if name in names]
    if not costly:
        return None
    files = len({name for name, _ in found.costly if name in names})
    where = f"{costly[0].title}, in {files} {found.title} file{'s'[: files > 1]}"
    return Fact(str(sum(group.total for group in costly)), f"operators {where}")
