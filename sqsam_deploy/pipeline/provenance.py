"""What a manifest says of the tools and the source an export was made with."""

import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_TOOLS = (
    "sqsam-deploy",
    "torch",
    "torchao",
    "executorch",
    "coremltools",
    "onnx",
    "onnxscript",
    "onnxruntime",
    "numpy",
)


def tool_versions() -> dict[str, str]:
    """Installed versions of everything that shapes an artifact, by package name."""
    found = {}
    for name in _TOOLS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def git_revision() -> str | None:
    """Commit of this package's checkout, or None where it is not one."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
