"""Result files from a phone: believed only after they were checked."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from sqsam_deploy.artifact.manifest import ArtifactEntry, Manifest, read_manifest
from sqsam_deploy.benchmark.noise import concluded
from sqsam_deploy.benchmark.ratios import find_ratios
from sqsam_deploy.benchmark.result import BenchmarkResult, Measurement, NotMeasured, Timing
from sqsam_deploy.benchmark.subjects import artifact_subject
from sqsam_deploy.errors import ArtifactError

#: Recorded inferences that a median needs at least.
FEWEST_SAMPLES = 20
#: Multiply-accumulates per second that no phone reaches: the Neural Engine of an A17 Pro does
#: 35 T operations, so 17.5 T multiply-accumulates, by Apple's statement at its launch (2023).
MOST_MACS_PER_SECOND = 40e12
#: An inference of a minute is a phone that was put away.
LONGEST_MS = 60_000.0
#: Share of the sum of its stages that "total" must reach: clocks have a resolution.
_TOLERANCE = 0.99
_MODEL = re.compile(r"^(iPhone|iPad)\d+,\d+$")


def check_phone_result(result: BenchmarkResult, manifests: Sequence[Manifest]) -> BenchmarkResult:
    """The result, with summaries and verdicts on noise worked out from its samples.

    What the file says of its own medians is not taken over.

    Args:
        result: As the app wrote it.
        manifests: Of the artifacts that were measured.

    Raises:
        ArtifactError: A hash is not in the manifests, a sample cannot be, or a state that decides
            what a number means was not recorded; the message names the row.
    """
    problems = [*_device_problems(result)]
    for item in result.measurements:
        problems += [f"{item.subject.name}: {text}" for text in _problems(item, manifests)]
    if not result.measurements:
        problems.append(_nothing_measured(result))
    if problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise ArtifactError(f"the result cannot be taken in: {problems[0]}{more}")
    identified = [_identified(item, manifests) for item in result.measurements]
    measurements = concluded(identified, result.environment)
    ratios = find_ratios(measurements) if result.method.interleaved else ()
    return result.model_copy(update={"measurements": measurements, "ratios": ratios})


def check_run(
    result: BenchmarkResult, directories: Sequence[Path], left_out: Sequence[NotMeasured]
) -> BenchmarkResult:
    """The checked result of a run that was started here.

    Args:
        result: From the phone.
        directories: Of the artifacts that were measured.
        left_out: Artifacts that were not even copied to the phone.

    Raises:
        ArtifactError: As `check_phone_result`.
    """
    checked = check_phone_result(result, [read_manifest(directory) for directory in directories])
    return checked.model_copy(update={"not_measured": (*checked.not_measured, *left_out)})


def _nothing_measured(result: BenchmarkResult) -> str:
    """Why every row failed, as the app tells it."""
    rows = [f"{row.subject} {row.setup}: {row.reason}" for row in result.not_measured]
    return "; ".join(["it holds no measurement", *rows])


def _device_problems(result: BenchmarkResult) -> Iterator[str]:
    if result.device.kind == "android":
        if result.device.virtual:
            yield "the device is an emulator, which measures the computer it runs on"
    elif result.device.kind != "iphone":
        yield f"the device is of kind '{result.device.kind}', only results of phones are imported"
    elif not _MODEL.match(result.device.model or ""):
        yield (
            f"the device model '{result.device.model}' is no iPhone's or iPad's: "
            "a simulator measures the Mac it runs on"
        )
    if result.environment.build != "release":
        yield "the app was not a release build: measure one with optimization"


def _problems(item: Measurement, manifests: Sequence[Manifest]) -> Iterator[str]:
    yield from _identity_problems(item, manifests)
    yield from _sample_problems(item)
    if not item.thermal:
        yield "its thermal state was not recorded"
    if item.low_power is None:
        yield "it does not say whether low power mode was on"


def _entry(item: Measurement, manifests: Sequence[Manifest]) -> ArtifactEntry | None:
    entries = [entry for manifest in manifests for entry in manifest.artifacts]
    return next((entry for entry in entries if entry.path == item.subject.name), None)


def _identified(item: Measurement, manifests: Sequence[Manifest]) -> Measurement:
    """The measurement with its subject as the manifest describes it."""
    entry = _entry(item, manifests)
    return item if entry is None else item.model_copy(update={"subject": artifact_subject(entry)})


def _identity_problems(item: Measurement, manifests: Sequence[Manifest]) -> Iterator[str]:
    entry = _entry(item, manifests)
    if entry is None:
        yield "no manifest lists an artifact of that name"
    elif entry.sha256 != item.subject.sha256:
        yield "its SHA-256 is not the manifest's: another file was measured"
    elif _described(item) != _expected(entry):
        yield "its runtime, precision, preset or size is not the manifest's"


def _described(item: Measurement) -> tuple[str, str, str | None, int | None]:
    subject = item.subject
    return subject.runtime, subject.precision, subject.preset, subject.bytes


def _expected(entry: ArtifactEntry) -> tuple[str, str, str | None, int | None]:
    metadata = entry.metadata
    return metadata.runtime, metadata.precision, metadata.preset, entry.bytes


def _sample_problems(item: Measurement) -> Iterator[str]:
    if "inference" not in item.stages:
        yield "it has no samples of the stage 'inference'"
        return
    samples = [sample for taken in item.inference.rounds for sample in taken]
    if len(samples) < FEWEST_SAMPLES:
        yield f"it has {len(samples)} samples, at least {FEWEST_SAMPLES} are needed"
        return
    if max(samples) > LONGEST_MS:
        yield f"an inference of {max(samples) / 1e3:.0f} s is no inference"
    fastest = _fastest_possible(item.subject.preset)
    if min(samples) < fastest:
        yield f"an inference of {min(samples):.3g} ms is beyond any phone: {fastest:.3g} at best"
    if len(set(samples)) < len(samples) // 2:
        yield "its samples repeat each other: the clock was too coarse, or they were not measured"
    yield from _stage_problems(item)


def _fastest_possible(preset_name: str | None) -> float:
    """Milliseconds under which no phone can be; the work is counted here, not believed."""
    from sqsam_deploy.benchmark.macs import preset_work

    return preset_work(preset_name).macs / MOST_MACS_PER_SECOND * 1e3 if preset_name else 0.0


def _stage_problems(item: Measurement) -> Iterator[str]:
    shapes = {tuple(len(taken) for taken in timing.rounds) for timing in item.stages.values()}
    if len(shapes) > 1:
        yield "its stages differ in their number of samples"
    elif "total" in item.stages and _sum(item.stages["total"]) < _TOLERANCE * sum(
        _sum(timing) for stage, timing in item.stages.items() if stage != "total"
    ):
        yield "its totals are shorter than the stages they are made of"


def _sum(timing: Timing) -> float:
    return sum(sum(taken) for taken in timing.rounds)
