"""A Swift tool chain, where there is one."""

import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HARNESS = ROOT / "ios_harness"
#: A command that runs another one in a folder: `$SQSAM_SWIFT FOLDER COMMAND`, for a tool chain
#: that is not on the path (in a container, say); FOLDER is all that it sees.
VARIABLE = "SQSAM_SWIFT"


needs_swift = pytest.mark.skipif(
    VARIABLE not in os.environ and shutil.which("swift") is None,
    reason=f"no Swift here: neither `swift` on the path nor ${VARIABLE}",
)


def run_swift(folder: Path, command: str) -> str:
    """Runs a shell command in a folder, with Swift at hand; what it printed.

    A failure fails the test with the command's output.
    """
    named = os.environ.get(VARIABLE)
    words = [*shlex.split(named), str(folder), command] if named else ["bash", "-c", command]
    done = subprocess.run(
        words, cwd=folder, capture_output=True, text=True, errors="replace", check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout
