"""Resident memory of this process, without extra packages."""

import os
import re
import resource
import subprocess
import sys
from pathlib import Path

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")


def resident_bytes() -> int:
    """Resident memory now."""
    if _STATUS.exists():
        return _status("VmRSS")
    listing = subprocess.run(
        ["ps", "-o", "rss=", "-p", str(os.getpid())], capture_output=True, text=True, check=True
    )
    return int(listing.stdout) * 1024


def peak_bytes() -> int:
    """Highest resident memory since `forget_peak`, or since the process began."""
    if _STATUS.exists():
        return _status("VmHWM")
    # macOS counts bytes, other systems kibibytes: getrusage(2).
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def forget_peak() -> None:
    """Starts the peak anew at what is resident now, where the system can (Linux: proc(5))."""
    try:
        _CLEAR.write_text("5")
    except OSError:
        return


def _status(key: str) -> int:
    found = re.search(rf"^{key}:\s+(\d+) kB$", _STATUS.read_text(), re.MULTILINE)
    return int(found[1]) * 1024 if found else 0
