"""Memory of this process, without extra packages."""

import os
import re
import resource
import subprocess
import sys
from pathlib import Path

from sqsam_deploy.benchmark.result import MemoryUse

_STATUS = Path("/proc/self/status")
_ROLLUP = Path("/proc/self/smaps_rollup")
_CLEAR = Path("/proc/self/clear_refs")


def resident_bytes() -> int:
    """Resident memory now."""
    if _STATUS.exists():
        return _status("VmRSS")
    listing = subprocess.run(
        ["ps", "-o", "rss=", "-p", str(os.getpid())], capture_output=True, text=True, check=True
    )
    return int(listing.stdout) * 1024


def memory_use() -> MemoryUse | None:
    """Resident, proportional and unique memory now; None where the system does not count them."""
    try:
        text = _ROLLUP.read_text()
    except OSError:
        return None
    private = _kibibytes(text, "Private_Clean") + _kibibytes(text, "Private_Dirty")
    return MemoryUse(rss=_kibibytes(text, "Rss"), pss=_kibibytes(text, "Pss"), uss=private)


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
    return _kibibytes(_STATUS.read_text(), key)


def _kibibytes(text: str, key: str) -> int:
    """A line `KEY: N kB` of a file of /proc, in bytes."""
    found = re.search(rf"^{key}:\s+(\d+) kB$", text, re.MULTILINE)
    return int(found[1]) * 1024 if found else 0
