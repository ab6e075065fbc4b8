"""The end of every build: lower one target, load it again from disk, compare it, enter it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sqsam_deploy._internal.progress import Steps
from sqsam_deploy.artifact.manifest import ArtifactEntry, BuildEntry, file_entries
from sqsam_deploy.errors import GateError
from sqsam_deploy.networks.base import Comparison, Logits, Measured, Network
from sqsam_deploy.networks.precisions import PRECISIONS
from sqsam_deploy.pipeline.programs import Programs
from sqsam_deploy.pipeline.targets import Target
from sqsam_deploy.runtimes.device import DeviceCheck
from sqsam_deploy.runtimes.registry import dependencies_of


@dataclass(frozen=True)
class Built:
    """The result of the process that built an artifact.

    Attributes:
        entry: For the manifest.
        checks: The rules of phones and their outcomes, for the report.
        answers: To the comparison's inputs, for the report.
    """

    entry: ArtifactEntry
    checks: tuple[DeviceCheck, ...]
    answers: list[Logits] = field(default_factory=list)


@dataclass(frozen=True)
class Builder:
    """Builds artifacts of one network.

    Attributes:
        network: The network.
        programs: Its programs.
        comparison: What its artifacts are compared on.
        staging: Directory to write into.
    """

    network: Network
    programs: Programs
    comparison: Comparison
    staging: Path

    def build(self, targets: Sequence[Target], steps: Steps) -> list[Built]:
        """Writes artifacts, runs them from disk and says what they are.

        Raises:
            GateError: One agrees too little with the float network.
            ArtifactError: One does not run.
        """
        return [self._build(target, steps) for target in targets]

    def _build(self, target: Target, steps: Steps) -> Built:
        path = self.staging / target.file_name(self.network.name)
        program, runtime = self.programs.make(target.program, steps), target.deployed_on
        metadata = self.network.describe(
            runtime=target.runtime,
            precision=target.precision,
            layout=target.layout,
            deployment_target=target.lowest_ios,
        ).model_copy(update={"options": target.all_options})
        steps.begin(f"lowering {path.name}")
        with dependencies_of(runtime):
            runtime.lower(program, metadata, path)
            on_device = runtime.on_device(metadata, path)
            _refuse_broken(on_device.checks, path)
        steps.begin(f"executing {path.name}")
        measured = self._measured(target, path)
        entry = ArtifactEntry(
            path=path.name,
            files=file_entries(path.parent, [path]),
            metadata=metadata,
            agreement=measured.agreement,
            minimum_runtime=runtime.minimum_runtime(metadata),
            requirements=on_device.requirements,
            # Artifacts of a second network follow from those of the first.
            build=_entry(target) if metadata.task == "segmentation" else None,
        )
        return Built(entry, on_device.checks, measured.answers)

    def _measured(self, target: Target, path: Path) -> Measured:
        limit, runtime = PRECISIONS[target.precision].limit, target.deployed_on
        measured = self.comparison.measure(
            runtime.open_session(path), limit=limit, executor=runtime.runtime_version()
        )
        mean = measured.agreement.mean_mask_iou
        if mean < limit:
            raise GateError(
                f"{path.name} agrees with the float network at {mean:.3f} "
                f"{self.comparison.measure_of}, under the limit of {limit}: nothing was written"
            )
        return measured


def _refuse_broken(checks: Sequence[DeviceCheck], path: Path) -> None:
    for check in checks:
        if check.outcome == "broken":
            raise GateError(
                f"{path.name} would not work on a phone, by the rule '{check.rule.key}' "
                f"({check.rule.source}): {check.found}; nothing was written"
            )


def _entry(target: Target) -> BuildEntry:
    return BuildEntry(
        input_layout=target.layout, keep_float=target.program.keep_float, name=target.name
    )
