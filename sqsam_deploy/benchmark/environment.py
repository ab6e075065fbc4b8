"""The machine and its state, without its host name, users or paths."""

import os
import platform
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from sqsam_deploy._internal.workers import usable_cores
from sqsam_deploy.artifact.provenance import git_revision
from sqsam_deploy.benchmark.result import Device, Environment
from sqsam_deploy.runtimes.registry import tool_versions

_CPUINFO = Path("/proc/cpuinfo")
_MEMINFO = Path("/proc/meminfo")
_OS_RELEASE = Path("/etc/os-release")
_CACHES = Path("/sys/devices/system/cpu/cpu0/cache")
_FREQUENCY = Path("/sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq")
_GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")

#: Names in /proc/cpuinfo of the instructions that int8 and half precision kernels use, and what
#: they are called elsewhere: first those for int8, x86-64 and arm64.
_FEATURES = {
    "avx512_vnni": "AVX512-VNNI",
    "avx_vnni": "AVX-VNNI",
    "amx_int8": "AMX-INT8",
    "asimddp": "DotProd",
    "i8mm": "I8MM",
    "sme": "SME",
    "sme2": "SME2",
    "avx512_bf16": "AVX512-BF16",
    "avx512_fp16": "AVX512-FP16",
    "asimdhp": "FP16",
    "bf16": "BF16",
    "avx512f": "AVX512F",
    "avx2": "AVX2",
    "fma": "FMA",
}
#: The same from macOS's `sysctl hw.optional.arm`.
_APPLE_FEATURES = {
    "FEAT_DotProd": "DotProd",
    "FEAT_I8MM": "I8MM",
    "FEAT_SME": "SME",
    "FEAT_SME2": "SME2",
    "FEAT_FP16": "FP16",
    "FEAT_BF16": "BF16",
}
_MEASURED_LIBRARIES = ("timm", "onnxruntime-gpu", "tensorrt", "transformers", "ultralytics")


def cpu_device() -> Device:
    """This machine's processor as the device of a result."""
    return Device(
        kind="cpu",
        name=_cpu_name(),
        model=platform.machine(),
        system=_system(),
        cores=usable_cores(),
        memory=_meminfo("MemTotal") or _sysctl_number("hw.memsize"),
        features=_features(),
        virtual="hypervisor" in _cpu_flags(),
        cache=_last_cache() or _sysctl_number("hw.l2cachesize"),
        frequency=_highest_frequency(),
    )


def _last_cache() -> int | None:
    """Bytes of the highest level of cache of the first core."""
    sizes = [
        (int(index.joinpath("level").read_text()), index.joinpath("size").read_text().strip())
        for index in sorted(_CACHES.glob("index*"))
        if index.joinpath("size").exists()
    ]
    if not sizes:
        return None
    text = max(sizes)[1]
    return int(text.rstrip("KMG")) * {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}.get(text[-1], 1)


def _highest_frequency() -> int | None:
    """MHz; a virtual machine states one, its nominal one; None where the system does not say."""
    if _FREQUENCY.exists():
        return int(_FREQUENCY.read_text()) // 1000
    found = re.search(r"^cpu MHz\s*:\s*([\d.]+)$", _cpuinfo(), re.MULTILINE)
    return round(float(found[1])) if found and "hypervisor" in _cpu_flags() else None


def capture_environment() -> Environment:
    """State before a measurement, and versions."""
    return Environment(
        governor=_GOVERNOR.read_text().strip() if _GOVERNOR.exists() else None,
        load_before=load_average(),
        available_memory=_meminfo("MemAvailable"),
        versions=_versions(),
        git_revision=git_revision(),
    )


def load_average() -> float:
    """Load average of the last minute."""
    return round(os.getloadavg()[0], 2)


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version(), **tool_versions()}
    for name in _MEASURED_LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _cpu_name() -> str:
    if sys.platform == "darwin":
        return _sysctl("machdep.cpu.brand_string") or platform.machine()
    for key in ("model name", "Model", "Hardware"):
        found = re.search(rf"^{key}\s*:\s*(.+)$", _cpuinfo(), re.MULTILINE)
        if found:
            return found[1].strip()
    return platform.processor() or platform.machine()


def _system() -> str:
    if sys.platform == "darwin":
        return f"macOS {platform.mac_ver()[0]}"
    release = _OS_RELEASE.read_text() if _OS_RELEASE.exists() else ""
    found = re.search(r'^PRETTY_NAME="?([^"\n]+)', release, re.MULTILINE)
    distribution = f"{found[1]}, " if found else ""
    # The kernel's version number alone: its suffix may name a machine.
    kernel = re.match(r"[\d.]+", platform.release())
    return f"{distribution}{platform.system()} {kernel[0] if kernel else ''}".strip()


def _features() -> tuple[str, ...]:
    if sys.platform == "darwin":
        return tuple(
            name
            for key, name in _APPLE_FEATURES.items()
            if _sysctl(f"hw.optional.arm.{key}") == "1"
        )
    flags = _cpu_flags()
    return tuple(name for flag, name in _FEATURES.items() if flag in flags)


def _cpu_flags() -> set[str]:
    found = re.search(r"^(?:flags|Features)\s*:\s*(.+)$", _cpuinfo(), re.MULTILINE)
    return set(found[1].split()) if found else set()


def _cpuinfo() -> str:
    return _CPUINFO.read_text() if _CPUINFO.exists() else ""


def _meminfo(key: str) -> int | None:
    text = _MEMINFO.read_text() if _MEMINFO.exists() else ""
    found = re.search(rf"^{key}:\s+(\d+) kB", text, re.MULTILINE)
    return int(found[1]) * 1024 if found else None


def _sysctl_number(key: str) -> int | None:
    text = _sysctl(key)
    return int(text) if text.isdigit() else None


def _sysctl(key: str) -> str:
    try:
        done = subprocess.run(["sysctl", "-n", key], capture_output=True, text=True, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
