"""iPhones by Xcode's command line tools.

Options and JSON as `xcrun devicectl help` and `man xcodebuild` of Xcode 16 describe them. Nothing
here was ever run against a phone: see docs/benchmarking.md.
"""

import json
import platform
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqsam_deploy._internal.temporary import scratch_directory
from sqsam_deploy.benchmark.phones.tools import run_tool
from sqsam_deploy.errors import DeviceError


@dataclass(frozen=True)
class Phone:
    """A paired device.

    Attributes:
        udid: What `xcodebuild` and `devicectl` both know it by.
        name: What its owner calls it; never part of a result.
        product: What its maker calls it: "iPhone 15 Pro".
        developer_mode: Whether apps from Xcode may run.
    """

    udid: str
    name: str
    product: str | None
    developer_mode: bool


def require_xcode() -> None:
    """Makes sure that there are Xcode's tools.

    Raises:
        DeviceError: This is no Mac, or it has no Xcode with `devicectl` (Xcode 15 and later).
    """
    system = platform.system()
    if system != "Darwin":
        raise DeviceError(
            f"an iPhone is measured from a Mac with Xcode, and this is {system}: run the app there "
            "and take its file in with sqsam-bench import"
        )
    for tool in ("xcodebuild", "xcrun"):
        if shutil.which(tool) is None:
            raise DeviceError(f"{tool} is not there: install Xcode 16 or later from the App Store")
    run_tool(["xcrun", "--find", "devicectl"], "Xcode has no devicectl: install Xcode 16 or later")


def list_phones() -> list[Phone]:
    """iPhones and iPads that are paired with this Mac and can be reached.

    Raises:
        DeviceError: `devicectl` fails, or answers what this package does not understand.
    """
    with scratch_directory("ios") as folder:
        path = folder / "devices.json"
        command = ["xcrun", "devicectl", "list", "devices", "--json-output", str(path)]
        run_tool(command, "devicectl cannot list devices")
        try:
            devices = json.loads(path.read_bytes())["result"]["devices"]
            return [_phone(device) for device in devices if _is_reachable_phone(device)]
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise DeviceError(
                f"devicectl's list of devices is not understood ({error!r}): this package knows "
                "that of Xcode 16"
            ) from None


def choose_phone(phones: Sequence[Phone], wanted: str | None) -> Phone:
    """The phone of this name or UDID, or the only one.

    Raises:
        DeviceError: There is none, or several and none was named, or it runs no such apps.
    """
    matching = [phone for phone in phones if wanted in (None, phone.name, phone.udid)]
    there = ", ".join(f"{phone.name} ({phone.udid})" for phone in phones)
    if not phones:
        raise DeviceError("no iPhone is connected: plug one in, unlock it and trust this Mac")
    if not matching:
        raise DeviceError(f"there is no device {wanted}: connected are {there}")
    if len(matching) > 1:
        raise DeviceError(f"several devices are connected, choose one with --device: {there}")
    if not matching[0].developer_mode:
        raise DeviceError(
            f"developer mode is off on {matching[0].name}: switch it on in Settings, Privacy & "
            "Security, Developer Mode"
        )
    return matching[0]


def _is_reachable_phone(device: dict[str, Any]) -> bool:
    hardware, connection = device["hardwareProperties"], device["connectionProperties"]
    kind = hardware.get("platform"), hardware.get("reality", "physical")
    is_paired = connection.get("pairingState") == "paired"
    is_near = connection.get("tunnelState") != "unavailable"
    return kind == ("iOS", "physical") and is_paired and is_near


def _phone(device: dict[str, Any]) -> Phone:
    hardware, properties = device["hardwareProperties"], device["deviceProperties"]
    return Phone(
        udid=hardware["udid"],
        name=properties["name"],
        product=hardware.get("marketingName"),
        developer_mode=properties.get("developerModeStatus", "enabled") == "enabled",
    )
