"""Stand-ins for `xcodebuild` and `xcrun devicectl`, and for the app on a phone.

They record their arguments and answer as the help of Xcode 16 says the real ones do; nobody has
compared them with a real phone. The app's stand-in reads the copied plan and writes a result from
it, with hashes of the files that really arrived.
"""

import hashlib
import json
import os
import random
import shutil
import sys
from pathlib import Path

PHONE = {
    "identifier": "5E1F0C2A-0000-4000-8000-000000000001",
    "connectionProperties": {"pairingState": "paired", "tunnelState": "connected"},
    "deviceProperties": {
        "name": "Test phone",
        "developerModeStatus": "enabled",
        "osVersionNumber": "18.1",
    },
    "hardwareProperties": {
        "marketingName": "iPhone 15 Pro",
        "platform": "iOS",
        "productType": "iPhone16,1",
        "reality": "physical",
        "udid": "00008130-0000000000000001",
    },
}


def main() -> None:
    state = Path(os.environ["FAKE_XCODE"])
    arguments = [Path(sys.argv[0]).name, *sys.argv[1:]]
    with (state / "calls.jsonl").open("a") as calls:
        calls.write(json.dumps(arguments) + "\n")
    step = step_of(arguments)
    if step == os.environ.get("FAKE_FAILS"):
        print("some chatter")
        print("error: it went wrong for a reason", file=sys.stderr)
        print("** FAILED **")
        raise SystemExit(70)
    STEPS[step](state, arguments)


def step_of(arguments: list[str]) -> str:
    if arguments[0] == "xcodebuild":
        return "build"
    words = " ".join(arguments[1:])
    return next(step for step in STEPS if words.removeprefix("devicectl ").startswith(step))


def option(arguments: list[str], name: str) -> str:
    return arguments[arguments.index(name) + 1]


def build(state: Path, arguments: list[str]) -> None:
    products = Path(option(arguments, "-derivedDataPath")) / "Build/Products/Release-iphoneos"
    (products / "BenchmarkApp.app").mkdir(parents=True)


def find(state: Path, arguments: list[str]) -> None:
    print("/Applications/Xcode.app/Contents/Developer/usr/bin/devicectl")


def list_devices(state: Path, arguments: list[str]) -> None:
    devices = json.loads(os.environ.get("FAKE_DEVICES", json.dumps([PHONE])))
    answer = {"info": {"outcome": "success"}, "result": {"devices": devices}}
    Path(option(arguments, "--json-output")).write_text(json.dumps(answer))


def install(state: Path, arguments: list[str]) -> None:
    assert Path(arguments[-1]).is_dir()


def copy_to(state: Path, arguments: list[str]) -> None:
    target = state / "container" / option(arguments, "--destination")
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(option(arguments, "--source"), target)


def copy_from(state: Path, arguments: list[str]) -> None:
    shutil.copyfile(
        state / "container" / option(arguments, "--source"), option(arguments, "--destination")
    )


def launch(state: Path, arguments: list[str]) -> None:
    documents = state / "container" / "Documents"
    [path] = documents.rglob("plan.json")
    plan = json.loads(path.read_bytes())
    rows = [
        measurement(path.parent, plan, artifact, compute)
        for artifact in plan["artifacts"]
        for compute in artifact["compute"]
    ]
    turns = len(rows) * plan["rounds"]
    for turn in range(turns):
        print(f"turn {turn + 1}/{turns}: something 1.00 ms", flush=True)
    (documents / "sqsam-result.json").write_text(json.dumps(result(plan, rows)))


def result(plan: dict, rows: list[dict]) -> dict:
    return {
        "result_version": 1,
        "created": "2026-01-02T03:04:05Z",
        "tool": "fake",
        "device": {
            "kind": "iphone",
            "name": plan["device_name"],
            "model": "iPhone16,1",
            "system": "iOS 18.1.0",
            "cores": 6,
        },
        "environment": {"build": os.environ.get("FAKE_BUILD", "release")},
        "method": {"rounds": plan["rounds"], "interleaved": True},
        "measurements": rows,
        "not_measured": [],
    }


def measurement(folder: Path, plan: dict, artifact: dict, compute: str) -> dict:
    dice = random.Random(artifact["name"] + compute)
    rounds = [[5 + dice.random() / 50 for _ in range(4)] for _ in range(plan["rounds"])]
    kept = ("name", "runtime", "precision", "preset", "bytes")
    subject = {key: artifact[key] for key in kept}
    return {
        "subject": {**subject, "role": "artifact", "sha256": digest(folder / artifact["name"])},
        "setup": {"compute": compute},
        "load": [20.0] * plan["rounds"],
        "first": [9.0] * plan["rounds"],
        "stages": {"inference": {"rounds": rounds}},
        "memory": {"before": 1, "loaded": 2, "peak": 3},
        "thermal": ["nominal", "nominal"],
        "low_power": False,
    }


def digest(path: Path) -> str:
    if path.is_file():
        return hashlib.sha256(path.read_bytes()).hexdigest()
    files = sorted(file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file())
    lines = (f"{digest(path / file)}  {file}\n" for file in files)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


STEPS = {
    "build": build,
    "--find devicectl": find,
    "list devices": list_devices,
    "device install app": install,
    "device copy to": copy_to,
    "device process launch": launch,
    "device copy from": copy_from,
}

if __name__ == "__main__":
    main()
