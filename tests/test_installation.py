"""Installations are enough: the light list for pulling, and one way to install everywhere."""

import re
import subprocess
import sys
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
GOLDEN = Path(__file__).parent / "release" / "golden" / "v2" / "store"

#: `sqsam-pull`, where these modules are not installed.
WITHOUT = """
import sys
missing = set(sys.argv.pop(1).split(","))

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in missing:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Refuse())
from sqsam_deploy.cli.pull import main
main()
"""


def _with_dependencies(names: list[str]) -> set[str]:
    """Distributions, and all that they require without any extra, by normalized name."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = canonicalize_name(waiting.pop())
        if name in found:
            continue
        found.add(name)
        for line in requires(name) or ():
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                waiting.append(requirement.name)
    return found


@pytest.fixture(scope="module")
def others() -> str:
    """Modules of all distributions that are not on the light list."""
    lines = (ROOT / "requirements-pull.txt").read_text(encoding="utf-8").splitlines()
    installed = _with_dependencies([line for line in lines if line and not line.startswith("#")])
    assert "torch" not in installed
    assert "numpy" not in installed
    installed |= {"sqsam-deploy", "distutils-precedence"}
    return ",".join(
        module
        for module, brought_by in packages_distributions().items()
        if not installed & {canonicalize_name(name) for name in brought_by}
    )


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("list",), 0),
        (("squeezesam-nano@1.0.0",), 0),
        (("squeezesam-nano@1.0.0", "--format", "swift-package"), 0),
        (("squeezesam-nano@1.0.0", "--verify-key", str(GOLDEN.parent / "key.pub")), 3),
    ],
)
def test_pulling_needs_only_the_light_list(others, tmp_path, words, code) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, others, *words, "--store", str(GOLDEN)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={"PATH": "", "HOME": str(tmp_path), "PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert ("[release]" in done.stderr) == (code == 3)


def test_no_document_installs_from_a_registry_by_name() -> None:
    files = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.[my]*")]
    files += (ROOT / "sqsam_deploy").rglob("*.py")
    by_name = re.compile(r"pip install[^\n]*[ '\"]sqsam-deploy(\[[\w,]*\])?['\"]?\s*$", re.M)
    assert len(files) > 100
    assert not [file for file in files if by_name.search(file.read_text(encoding="utf-8"))]
