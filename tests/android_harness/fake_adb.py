"""A stand-in for `adb` and the phone behind it.

It records its arguments and answers as the real one's help says; nobody has compared it with a
phone. The app is the Kotlin suite itself, with stand-ins for the runtimes, on this machine's JVM.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path


def main() -> None:
    phone = Path(os.environ["FAKE_PHONE"])
    arguments = sys.argv[1:]
    with (phone / "calls.jsonl").open("a") as calls:
        calls.write(json.dumps(arguments) + "\n")
    if arguments == ["devices"]:
        serials = os.environ.get("FAKE_SERIALS", "ABC123").split()
        print("List of devices attached")
        print("".join(f"{serial}\tdevice\n" for serial in serials), "XYZ\tunauthorized", sep="")
        return
    command, *rest = arguments[2:]
    if command == "push":
        shutil.copytree(rest[0], phone / "bundle")
    elif command == "pull":
        shutil.copyfile(rest[0], rest[1])
    elif rest[:2] == ["am", "instrument"]:
        instrument(phone)


def instrument(phone: Path) -> None:
    result = phone / "sqsam-result.json"
    path = Path(os.environ["ANDROID_CLASSES"], "class-path").read_text()
    main_class = "io.github.sqsamdeploy.benchmark.StandInKt"
    command = ["java", "-XX:TieredStopAtLevel=1", "-cp", path, main_class, phone / "bundle", result]
    done = subprocess.run([*command, "executorch", "onnx!"], capture_output=True, text=True)
    for line in [*done.stdout.splitlines(), f"result: {result}"]:
        print(f"INSTRUMENTATION_STATUS: line={line}\nINSTRUMENTATION_STATUS_CODE: 1")
    print(done.stderr, "INSTRUMENTATION_CODE: -1")


main()
