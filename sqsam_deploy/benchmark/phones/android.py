"""One measurement on an Android phone: build, install, copy, run, fetch, check.

The app is `android_harness/benchmark`. Options as `adb help` and `am instrument` describe them;
nothing here was ever run against a phone: see docs/android.md.
"""

import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import sqsam_deploy
from sqsam_deploy._internal.progress import shown_steps
from sqsam_deploy._internal.temporary import scratch_directory
from sqsam_deploy.benchmark.phones.checks import check_run
from sqsam_deploy.benchmark.phones.plan import TURN_MARK, PhonePlan, PlanRequest, write_bundle
from sqsam_deploy.benchmark.phones.tools import follow_tool, run_tool
from sqsam_deploy.benchmark.result import BenchmarkResult
from sqsam_deploy.benchmark.resultfile import read_result
from sqsam_deploy.errors import DeviceError

#: Where the app looks for its plan; every app may read what adb puts there.
REMOTE_BUNDLE = "/data/local/tmp/sqsam"
_PACKAGE = "io.github.sqsamdeploy.benchmark"
_APK = Path("benchmark/build/outputs/apk/release/benchmark-release.apk")
#: What the app says, as `am instrument -r` prints it.
_SAID = re.compile(r"INSTRUMENTATION_STATUS: line=(.*)")
_OWN_STEPS = 6


@dataclass(frozen=True)
class AndroidRun:
    """The artifacts to measure and the phone to measure them on.

    Attributes:
        directories: Of artifacts.
        device: Serial number of the phone, where several are connected.
        apk: The benchmark app; None builds it with Gradle.
        harness: The folder `android_harness/` with the app; None is the checkout's own.
        rounds: Turns of every row.
    """

    directories: Sequence[Path]
    device: str | None = None
    apk: Path | None = None
    harness: Path | None = None
    rounds: int = 12


def measure_on_android(run: AndroidRun) -> BenchmarkResult:
    """Builds the app, runs it on the phone, and returns its checked result.

    Raises:
        DeviceError: A tool or a phone is missing, or a step failed; the message names it.
        ArtifactError: An artifact is not what its manifest lists, or the result is not believed.
    """
    if shutil.which("adb") is None:
        raise DeviceError("adb is not here: install Android's platform tools")
    serial = _choose(_devices(), run.device)
    with scratch_directory("android") as folder:
        bundle = folder / "bundle"
        bundle.mkdir()
        request = PlanRequest(run.directories, rounds=run.rounds, system="Android")
        plan, left_out = write_bundle(request, bundle)
        result = _measure(run, plan, ["adb", "-s", serial], folder)
    return check_run(result, run.directories, left_out)


def _measure(run: AndroidRun, plan: PhonePlan, adb: Sequence[str], folder: Path) -> BenchmarkResult:
    with shown_steps(_OWN_STEPS + plan.turns) as steps:
        steps.begin("building the app")
        apk = run.apk or _build(run.harness)
        steps.begin("installing it")
        run_tool([*adb, "install", "-r", str(apk)], "the app cannot be installed")
        steps.begin("copying artifacts and inputs")
        run_tool([*adb, "shell", "rm", "-rf", REMOTE_BUNDLE], "the phone cannot be reached")
        copy = [*adb, "push", str(folder / "bundle"), REMOTE_BUNDLE]
        run_tool(copy, "the artifacts cannot be copied")
        steps.begin("measuring: leave the phone unlocked and alone")
        remote = _instrument(adb, lambda line: steps.begin(line))
        steps.begin("fetching the result")
        target = folder / "result.json"
        run_tool([*adb, "pull", remote, str(target)], "the result cannot be fetched")
        steps.begin("checking the result")
        return read_result(target)


def _devices() -> list[str]:
    """Serial numbers of what is connected and allows it."""
    listed = run_tool(["adb", "devices"], "adb cannot list devices")
    rows = [line.split("\t") for line in listed.splitlines() if "\t" in line]
    return [serial for serial, state in rows if state == "device"]


def _choose(serials: Sequence[str], wanted: str | None) -> str:
    there = ", ".join(serials)
    if not serials:
        raise DeviceError(
            "no phone is connected: plug one in and allow USB debugging (Settings, Developer "
            "options)"
        )
    if wanted is None and len(serials) > 1:
        raise DeviceError(f"several devices are connected, choose one with --device: {there}")
    if wanted not in (None, *serials):
        raise DeviceError(f"there is no device {wanted}: connected are {there}")
    return wanted or serials[0]


def _build(harness: Path | None) -> Path:
    project = harness or Path(sqsam_deploy.__file__).parents[1] / "android_harness"
    if not (project / "benchmark" / "build.gradle.kts").is_file():
        raise DeviceError(
            f"{project} is not there: give an android_harness folder with --harness, or an app "
            "that was built from one with --apk"
        )
    if shutil.which("gradle") is None:
        raise DeviceError("gradle is not here: install it, or give the built app with --apk")
    command = ["gradle", "--project-dir", str(project), ":benchmark:assembleRelease"]
    run_tool(command, "the app cannot be built")
    return project / _APK


def _instrument(adb: Sequence[str], told: Callable[[str], None]) -> str:
    """Runs the app; returns the result's path on the phone."""
    said: list[str] = []

    def follow(line: str) -> None:
        found = _SAID.search(line)
        if found:
            said.append(found[1].strip())
            if said[-1].startswith(TURN_MARK):
                told(said[-1])

    runner = f"{_PACKAGE}/.BenchmarkInstrumentation"
    command = [*adb, "shell", "am", "instrument", "-w", "-r", "-e", "plan", REMOTE_BUNDLE, runner]
    follow_tool(command, "the app did not end as it should", follow)
    last = said[-1] if said else "it said nothing"
    if not last.startswith("result: "):
        raise DeviceError(f"the app did not measure: {last.removeprefix('error: ')}")
    return last.removeprefix("result: ")
