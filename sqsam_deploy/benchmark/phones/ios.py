"""One measurement on a phone: build, install, copy, run, fetch, check."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import sqsam_deploy
from sqsam_deploy._internal.progress import shown_steps
from sqsam_deploy._internal.temporary import scratch_directory
from sqsam_deploy.benchmark.phones.checks import check_run
from sqsam_deploy.benchmark.phones.plan import TURN_MARK, PhonePlan, PlanRequest, write_bundle
from sqsam_deploy.benchmark.phones.tools import follow_tool, run_tool
from sqsam_deploy.benchmark.phones.xcode import Phone
from sqsam_deploy.benchmark.result import BenchmarkResult
from sqsam_deploy.benchmark.resultfile import read_result
from sqsam_deploy.errors import DeviceError

SCHEME = "BenchmarkApp"
#: Where the app looks for its plan, and where it leaves its result, in its data container.
REMOTE_BUNDLE, REMOTE_RESULT = "Documents/sqsam", "Documents/sqsam-result.json"
_BUNDLE_IDENTIFIER = "io.github.sqsam-deploy.benchmark"
_OWN_STEPS = 6


@dataclass(frozen=True)
class PhoneRun:
    """The artifacts to measure and the phone to measure them on.

    Attributes:
        directories: Of artifacts.
        team: Identifier of the Apple developer team that signs the app.
        harness: The folder `ios_harness/` with the app; None is the one that the package carries.
        rounds: Turns of every row.
    """

    directories: Sequence[Path]
    team: str | None = None
    harness: Path | None = None
    rounds: int = 12


def measure_on_phone(run: PhoneRun, phone: Phone) -> BenchmarkResult:
    """Builds the app, runs it on the phone, and returns its checked result.

    Raises:
        DeviceError: A step failed; the message names it.
        ArtifactError: An artifact is not what its manifest lists, or the result is not believed.
    """
    project = find_project(run.harness)
    with scratch_directory("ios") as folder:
        bundle = folder / "bundle"
        bundle.mkdir()
        request = PlanRequest(run.directories, phone.product, run.rounds)
        plan, left_out = write_bundle(request, bundle)
        result = _Device(phone, run.team, folder).measure(project, plan, bundle)
    return check_run(result, run.directories, left_out)


def find_project(harness: Path | None) -> Path:
    """The app's Xcode project.

    Raises:
        DeviceError: It is not there.
    """
    project = (harness or _carried()) / "BenchmarkApp" / "BenchmarkApp.xcodeproj"
    if not (project / "project.pbxproj").is_file():
        raise DeviceError(f"{project} is not there: give an ios_harness folder with --harness")
    return project


def _carried() -> Path:
    """A wheel has the folder in this package, a checkout beside `sqsam_deploy`."""
    in_wheel = Path(__file__).parent / "harness"
    return in_wheel if in_wheel.is_dir() else Path(sqsam_deploy.__file__).parents[1] / "ios_harness"


class _Device:
    """The app on one phone."""

    def __init__(self, phone: Phone, team: str | None, folder: Path) -> None:
        self._phone, self._team, self._folder = phone, team, folder
        # An identifier belongs to the team that used it first.
        self._identifier = _BUNDLE_IDENTIFIER + (f".{team}" if team else "")

    def measure(self, project: Path, plan: PhonePlan, bundle: Path) -> BenchmarkResult:
        with shown_steps(_OWN_STEPS + plan.turns) as steps:
            steps.begin("building the app")
            app = self._build(project)
            steps.begin(f"installing it on {self._phone.name}")
            self._install(app)
            steps.begin("copying artifacts and inputs")
            self._copy_to(bundle)
            steps.begin("measuring: leave the phone unlocked and alone")
            self._launch(lambda line: steps.begin(line) if line.startswith(TURN_MARK) else None)
            steps.begin("fetching the result")
            path = self._copy_from()
            steps.begin("checking the result")
            return read_result(path)

    def _build(self, project: Path) -> Path:
        build = self._folder / "build"
        command = [
            *("xcodebuild", "-project", str(project), "-scheme", SCHEME),
            *("-configuration", "Release", "-destination", f"platform=iOS,id={self._phone.udid}"),
            *("-derivedDataPath", str(build)),
            *("-allowProvisioningUpdates", "-allowProvisioningDeviceRegistration"),
            f"PRODUCT_BUNDLE_IDENTIFIER={self._identifier}",
            *([f"DEVELOPMENT_TEAM={self._team}"] if self._team else []),
            "build",
        ]
        hint = "" if self._team else " (an app for a phone is signed: give your team with --team)"
        run_tool(command, f"the app cannot be built{hint}")
        app = build / "Build" / "Products" / "Release-iphoneos" / f"{SCHEME}.app"
        if not app.is_dir():
            raise DeviceError(f"xcodebuild succeeded and left no {app.name} in {app.parent}")
        return app

    def _install(self, app: Path) -> None:
        command = ["device", "install", "app", *self._on_phone(), str(app)]
        self._devicectl(command, "the app cannot be installed")

    def _copy_to(self, bundle: Path) -> None:
        command = ["device", "copy", "to", *self._on_phone(), *self._in_container()]
        paths = ["--source", str(bundle), "--destination", REMOTE_BUNDLE]
        replaced = ["--remove-existing-content", "true"]
        self._devicectl([*command, *paths, *replaced], "the artifacts cannot be copied")

    def _launch(self, told: Callable[[str], None]) -> None:
        follow_tool(
            [
                *("xcrun", "devicectl", "device", "process", "launch", *self._on_phone()),
                *("--terminate-existing", "--console", self._identifier, "run"),
            ],
            "the app did not end as it should (is the phone unlocked, the developer trusted?)",
            told,
        )

    def _copy_from(self) -> Path:
        target = self._folder / "result.json"
        command = ["device", "copy", "from", *self._on_phone(), *self._in_container()]
        paths = ["--source", REMOTE_RESULT, "--destination", str(target)]
        self._devicectl([*command, *paths], "the result cannot be fetched")
        return target

    def _devicectl(self, arguments: Sequence[str], failure: str) -> None:
        run_tool(["xcrun", "devicectl", *arguments], failure)

    def _on_phone(self) -> tuple[str, ...]:
        return "--device", self._phone.udid

    def _in_container(self) -> tuple[str, ...]:
        return "--domain-type", "appDataContainer", "--domain-identifier", self._identifier
