"""Provenance of an export: versions of the tools and the revision of the source."""

import subprocess
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_TOOLS = ("sqsam-deploy", "torch", "torchao", "numpy")


def installed_versions(others: Iterable[str] = ()) -> dict[str, str]:
    """Installed versions of what shapes every artifact, and of other packages, by name."""
    found = {}
    for name in dict.fromkeys((*_TOOLS, *others)):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def git_revision() -> str | None:
    """Commit of this package's checkout, or None where it is not one.

    A package installed inside somebody else's repository is not tracked there and has none.
    """
    here = Path(__file__)
    if _git("ls-files", "--error-unmatch", here.name, cwd=here.parent) is None:
        return None
    return _git("describe", "--always", "--dirty", "--abbrev=40", "--exclude=*", cwd=here.parent)


def _git(*arguments: str, cwd: Path) -> str | None:
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=cwd, capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
