"""Processors whose sums of byte products are cut off at 16 bits."""

import platform
from pathlib import Path

_X86 = ("x86_64", "amd64")
#: Names of the instructions, in Linux's list, that sum four products of bytes in 32 bits.
_VNNI = {"avx512_vnni", "avx_vnni"}


def saturates(machine: str, flags: set[str]) -> bool:
    """Whether sums of uint8 by int8 products are cut off at 16 bits.

    x86 without VNNI has `vpmaddubsw` only: two products of a large activation and a large weight
    exceed its range.

    Args:
        machine: As `platform.machine` names it.
        flags: The processor's features, as Linux names them; empty where they are not known, which
            on x86 counts as without VNNI.
    """
    return machine.lower() in _X86 and not flags & _VNNI


def this_one_saturates() -> bool:
    """`saturates`, for the processor this runs on."""
    return saturates(platform.machine(), _flags(Path("/proc/cpuinfo")))


def _flags(cpuinfo: Path) -> set[str]:
    if not cpuinfo.is_file():
        return set()
    lines = cpuinfo.read_text(errors="replace").splitlines()
    listed = [line.partition(":")[2] for line in lines if line.startswith("flags")]
    return {flag for flags in listed for flag in flags.split()}
