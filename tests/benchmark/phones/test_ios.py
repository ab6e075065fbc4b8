"""The steps on a Mac, against stand-ins of Xcode's tools (`fake_xcode.py`)."""

import copy
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from sqsam_deploy.benchmark.phones.ios import PhoneRun, find_project, measure_on_phone
from sqsam_deploy.benchmark.phones.xcode import Phone, choose_phone, list_phones, require_xcode
from sqsam_deploy.errors import ArtifactError, DeviceError
from tests.benchmark.phones.fake_xcode import PHONE

Calls = Callable[[], list[list[str]]]
UDID = "00008130-0000000000000001"
IDENTIFIER = "io.github.sqsam-deploy.benchmark.ABCDE12345"


def devices(*changes: dict[str, dict[str, str]]) -> str:
    """A list of devices, each the usual phone with something changed."""
    listed = []
    for change in changes:
        device = copy.deepcopy(PHONE)
        for part, values in change.items():
            device[part] |= values  # type: ignore[operator]
        listed.append(device)
    return json.dumps(listed)


def measure(export: Path, team: str | None = "ABCDE12345") -> object:
    require_xcode()
    phone = choose_phone(list_phones(), None)
    return measure_on_phone(PhoneRun([export], team, rounds=10), phone)


def test_result_of_the_phone_is_checked_and_complete(export: Path, calls: Calls) -> None:
    require_xcode()
    [phone] = list_phones()
    result = measure_on_phone(PhoneRun([export], "ABCDE12345", rounds=10), phone)
    rows = [(row.subject.name, row.setup.compute) for row in result.measurements]
    assert rows == [
        ("nano-int8.pte", "cpu"),
        ("nano-fp32.pte", "cpu"),
        ("nano-int8.mlpackage", "all"),
        ("nano-int8.mlpackage", "cpuAndNeuralEngine"),
        ("nano-int8.mlpackage", "cpuOnly"),
    ]
    assert result.device.name == "iPhone 15 Pro"
    assert [row.subject for row in result.not_measured] == ["nano-int8.onnx"]
    [ratio] = result.ratios
    assert (ratio.numerator, ratio.denominator) == ("nano-fp32.pte", "nano-int8.pte")
    for row in result.measurements:
        summary = row.inference.summary
        assert summary is not None
        assert summary.median.value == pytest.approx(5.01, abs=0.01)


def test_tools_are_called_in_order_with_the_phones_udid(export: Path, calls: Calls) -> None:
    measure(export)
    told = calls()
    verbs = [" ".join(call[1:5]) for call in told]
    assert verbs[0] == "--find devicectl"
    assert verbs[1].startswith("devicectl list devices")
    assert told[2][0] == "xcodebuild"
    assert verbs[3:] == [
        "devicectl device install app",
        "devicectl device copy to",
        "devicectl device process launch",
        "devicectl device copy from",
    ]
    assert all(call[call.index("--device") + 1] == UDID for call in told[3:])
    assert f"platform=iOS,id={UDID}" in told[2]
    assert {"DEVELOPMENT_TEAM=ABCDE12345", f"PRODUCT_BUNDLE_IDENTIFIER={IDENTIFIER}"} <= set(
        told[2]
    )
    for copied in (told[4], told[6]):
        assert copied[copied.index("--domain-type") + 1] == "appDataContainer"
        assert copied[copied.index("--domain-identifier") + 1] == IDENTIFIER
    assert told[5][-3:] == ["--console", IDENTIFIER, "run"]


@pytest.mark.parametrize(
    ("step", "sentence"),
    [
        ("--find devicectl", "Xcode has no devicectl"),
        ("list devices", "devicectl cannot list devices"),
        ("build", "the app cannot be built"),
        ("device install app", "the app cannot be installed"),
        ("device copy to", "the artifacts cannot be copied"),
        ("device process launch", "the app did not end as it should"),
        ("device copy from", "the result cannot be fetched"),
    ],
)
def test_step_that_fails_says_which_and_why(
    step: str, sentence: str, export: Path, calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_FAILS", step)
    with pytest.raises(DeviceError) as raised:
        measure(export)
    message = str(raised.value)
    assert message.startswith(sentence)
    assert message.endswith("error: it went wrong for a reason")
    assert raised.value.exit_code == 3


def test_build_without_a_team_asks_for_one(
    export: Path, calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_FAILS", "build")
    with pytest.raises(DeviceError, match="give your team with --team"):
        measure(export, team=None)


def test_result_that_cannot_be_believed_is_refused(
    export: Path, calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_BUILD", "debug")
    with pytest.raises(ArtifactError, match="not a release build"):
        measure(export)


def test_only_reachable_paired_phones_are_listed(
    calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = devices(
        {"connectionProperties": {"pairingState": "unpaired"}},
        {"connectionProperties": {"tunnelState": "unavailable"}},
        {"hardwareProperties": {"platform": "watchOS"}},
        {"hardwareProperties": {"reality": "simulated"}},
        {"deviceProperties": {"name": "The one"}},
    )
    monkeypatch.setenv("FAKE_DEVICES", listed)
    assert [phone.name for phone in list_phones()] == ["The one"]


def test_answer_of_another_form_is_said_to_be_not_understood(
    calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_DEVICES", '[{"name": "phone"}]')
    with pytest.raises(DeviceError, match="list of devices is not understood"):
        list_phones()


ONE = Phone("udid-1", "One", "iPhone 15", developer_mode=True)
TWO = Phone("udid-2", "Two", "iPhone 16", developer_mode=False)


def test_phone_is_chosen_by_name_or_udid() -> None:
    assert choose_phone([ONE], None) == ONE
    assert choose_phone([ONE, TWO], "One") == ONE
    assert choose_phone([TWO, ONE], "udid-1") == ONE


@pytest.mark.parametrize(
    ("phones", "wanted", "sentence"),
    [
        ([], None, "no iPhone is connected"),
        ([ONE], "Three", r"there is no device Three: connected are One \(udid-1\)"),
        ([ONE, TWO], None, "choose one with --device"),
        ([ONE, TWO], "Two", "developer mode is off on Two"),
    ],
)
def test_phone_that_cannot_be_used_is_said_why(
    phones: list[Phone], wanted: str | None, sentence: str
) -> None:
    with pytest.raises(DeviceError, match=sentence):
        choose_phone(phones, wanted)


def test_mac_without_xcode_is_told_to_install_it(
    calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(DeviceError, match="xcodebuild is not there: install Xcode"):
        require_xcode()


def test_project_is_looked_for_beside_the_package_and_where_it_is_said(tmp_path: Path) -> None:
    assert (find_project(None) / "project.pbxproj").is_file()
    with pytest.raises(DeviceError, match="--harness"):
        find_project(tmp_path)
