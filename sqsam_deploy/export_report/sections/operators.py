"""Which operators run where, artifact by artifact."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqsam_deploy.artifact.manifest import Manifest
from sqsam_deploy.runtimes.inspection import Inspection, OperatorGroup
from sqsam_deploy.runtimes.profiling import ProfiledRun
from sqsam_deploy.runtimes.registry import all_runtimes


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
    def costly(self) -> tuple[OperatorGroup, ...]:
        """Groups of which a good artifact has nothing."""
        every = (group for groups in self.artifacts.values() for group in groups)
        return tuple(group for group in every if group.is_costly)


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
