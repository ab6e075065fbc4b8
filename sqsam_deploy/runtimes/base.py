"""The interface of a runtime: everything the toolkit asks of one, in one object.

A runtime is a frozen value of a subclass of `Runtime`. Reading its fields imports no library; each
method imports what it needs. `lower`, `open_session`, `read_metadata`, `minimum_runtime` and
`runtime_version` have to be written; the others have plain answers that a runtime betters where its
library can.
"""

import platform
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from sqsam_deploy.artifact.files import files_in
from sqsam_deploy.artifact.metadata import (
    DEFAULT_DEPLOYMENT_TARGET,
    ArtifactMetadata,
    DeploymentTarget,
    InputLayout,
    PrecisionName,
    RuntimeName,
)
from sqsam_deploy.artifact.requirements import Requirements
from sqsam_deploy.runtimes.device import OnDevice
from sqsam_deploy.runtimes.inspection import Inspection, Part

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch.export import ExportedProgram

    from sqsam_deploy.runtimes.profiling import ProfiledRun
    from sqsam_deploy.runtimes.session import Session

#: Where apps, or this toolkit, can run an artifact; "Web" is a browser, which is asked for apart.
System = Literal["Linux", "macOS", "Windows", "iOS", "Android", "Web"]
EVERYWHERE: frozenset[System] = frozenset(("Linux", "macOS", "Windows", "iOS", "Android"))
APPLE: frozenset[System] = frozenset(("macOS", "iOS"))
WEB: frozenset[System] = frozenset(("Web",))

Feeds = Sequence["NDArray[np.generic]"]


class RawRunner(Protocol):
    """A loaded file with nothing between it and its arrays: what a benchmark times."""

    def random_inputs(self) -> "list[NDArray[np.generic]]":
        """One input of each declared shape and type, the same at every call."""

    def run(self, feeds: Feeds) -> Sequence[Any]:
        """One inference: arrays in the order of the inputs to the outputs in theirs."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Runtime(ABC):
    """One way to deploy an exported program.

    Attributes:
        name: Its key in metadata, recipes and on the command line: "executorch".
        title: What people call it: "ExecuTorch".
        ending: What names of its artifacts end in: ".pte", or "-coreml.pte" where the last
            suffix is another runtime's too.
        layouts: Precisions it offers, in the order in which they are built, each with the layouts
            it can take pixels in, the best first.
        library: The module that is imported before anything is loaded.
        distributions: Packages whose versions shape its artifacts, for the manifest.
        systems: Where it runs artifacts itself.
        is_default: Whether an export builds for it unless told otherwise.
        cost: What building an artifact takes, relative to other runtimes: the longest begins first.
        deployment_targets: The lowest iOS that can load each precision; empty where artifacts
            are not made for a version of iOS.
        options: What else can be chosen for an artifact, by precision: the values of each option,
            the default first.
        phone_compute: How the benchmark apps of `ios_harness/` and `android_harness/` can run an
            artifact, by system, each a row of its own; empty where they cannot.
        profiler: The tool that `profile` uses; None where there is none.
    """

    name: RuntimeName
    title: str
    ending: str
    layouts: Mapping[PrecisionName, tuple[InputLayout, ...]]
    library: str
    distributions: tuple[str, ...] = ()
    systems: frozenset[System] = EVERYWHERE
    is_default: bool = False
    cost: float = 1.0
    deployment_targets: Mapping[PrecisionName, DeploymentTarget] = field(default_factory=dict)
    options: Mapping[PrecisionName, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)
    phone_compute: Mapping[System, tuple[str, ...]] = field(default_factory=dict)
    profiler: str | None = None

    @property
    def suffix(self) -> str:
        """The suffix of its files: ".pte"."""
        return "." + self.ending.rpartition(".")[2]

    @property
    def precisions(self) -> tuple[PrecisionName, ...]:
        """Precisions it offers, in the order in which they are built."""
        return tuple(self.layouts)

    def deployment_target(
        self, precision: PrecisionName, chosen: DeploymentTarget | None
    ) -> DeploymentTarget | None:
        """The lowest iOS an artifact is made for; None where that means nothing."""
        if not self.deployment_targets:
            return None
        # Their names sort as their versions do.
        return chosen or max(DEFAULT_DEPLOYMENT_TARGET, self.deployment_targets[precision])

    def chosen_options(
        self, precision: PrecisionName, chosen: Mapping[str, str] | None = None
    ) -> dict[str, str]:
        """A value for every option of a precision: the chosen one, or the default."""
        offered = self.options.get(precision, {})
        return {name: values[0] for name, values in offered.items()} | dict(chosen or {})

    def runs_here(self) -> str | None:
        """None where this machine can run artifacts itself; otherwise a sentence why not.

        `open_session` may still work, with a reference executor whose time says nothing.
        """
        here = {"Darwin": "macOS"}.get(platform.system(), platform.system())
        if here in self.systems:
            return None
        return f"{self.title} runs on {' and '.join(sorted(self.systems))} only"

    def load_library(self) -> None:
        """Imports `library`, and nothing that lowers networks."""
        import_module(self.library)

    def load_compiler(self) -> None:  # noqa: B027  not every runtime has a large one
        """Imports what `lower` uses: processes that are forked from this one have it then."""

    @abstractmethod
    def lower(self, program: "ExportedProgram", metadata: ArtifactMetadata, path: Path) -> None:
        """Writes a program as an artifact; the same program and metadata give the same bytes.

        Args:
            program: Takes the network's inputs as float planes, whatever `metadata.inputs` says.
            metadata: Names inputs and outputs, in the program's order; travels in the artifact.
            path: The file or directory to make or replace.
        """

    @abstractmethod
    def open_session(self, path: Path, threads: int | None = None) -> "Session":
        """Loads an artifact so that it can be run.

        Args:
            path: Written by `lower`.
            threads: CPU threads; None leaves the runtime's default.

        Raises:
            ArtifactError: It is missing, damaged or was not written by this tool.
        """

    @abstractmethod
    def read_metadata(self, path: Path) -> ArtifactMetadata:
        """The metadata stored in an artifact; its network is not loaded.

        Raises:
            ArtifactError: It is missing, damaged or was not written by this tool.
        """

    @abstractmethod
    def minimum_runtime(self, metadata: ArtifactMetadata) -> str:
        """The lowest version of the runtime, or of the system, that an artifact needs."""

    @abstractmethod
    def runtime_version(self) -> str:
        """The software that runs artifacts on this machine, with its version."""

    def requirements(self, metadata: ArtifactMetadata) -> Requirements:
        """Libraries that an app links to run any artifact like this one, and the lowest systems."""
        return Requirements()

    def on_device(self, metadata: ArtifactMetadata, path: Path) -> OnDevice:
        """The needs of an artifact on a phone, as its file shows them.

        Raises:
            ArtifactError: It is damaged.
        """
        return OnDevice(self.requirements(metadata))

    def inspect(self, path: Path) -> Inspection:
        """The parts and operators of an artifact; one part where nothing more is known.

        Raises:
            ArtifactError: It is damaged.
        """
        size = sum(file.stat().st_size for file in files_in(path))
        return Inspection((Part("weights", "the whole file", size),))

    def raw_runner(self, path: Path, threads: int) -> RawRunner:
        """Opens a file for timing; where the library can, any network's.

        Raises:
            ArtifactError: It cannot be loaded.
        """
        from sqsam_deploy.runtimes.session import SessionRunner

        return SessionRunner(self.open_session(path, threads))

    def profile(self, path: Path, feeds: Feeds, threads: int, count: int) -> "ProfiledRun | None":
        """Where `count` inferences spend their time; None without a `profiler`."""
        return None
