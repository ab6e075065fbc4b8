"""Programs of others that build, install and run the apps: each failure is one sentence."""

import subprocess
from collections.abc import Callable, Sequence

from sqsam_deploy.errors import DeviceError

#: Lines of a failed tool that say most: Apple's tools end with a summary.
_ERROR_WORDS = ("error:", "ERROR:", "requires a development team", "locked")


def run_tool(command: Sequence[str], failure: str) -> str:
    """Runs a tool to its end and returns what it printed.

    Raises:
        DeviceError: It failed: `failure`, and the line of its output that says why.
    """
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        raise DeviceError(f"{failure}: {_reason(done.stdout + done.stderr, done.returncode)}")
    return done.stdout


def follow_tool(command: Sequence[str], failure: str, told: Callable[[str], None]) -> None:
    """Runs a tool and passes every line on as it comes.

    Raises:
        DeviceError: As `run_tool`.
    """
    lines = []
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as process:
        assert process.stdout is not None, "it was asked for"
        for line in process.stdout:
            lines.append(line)
            told(line.rstrip())
    if process.returncode:
        raise DeviceError(f"{failure}: {_reason(''.join(lines), process.returncode)}")


def _reason(output: str, code: int) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    telling = [line for line in lines if any(word in line for word in _ERROR_WORDS)]
    return (telling or lines or [f"it ended with exit code {code}"])[0 if telling else -1]
