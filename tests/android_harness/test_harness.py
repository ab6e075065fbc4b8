"""The Kotlin library, compiled and tested without Gradle and the Android SDK."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

CHECK = Path(__file__).parents[2] / "android_harness" / "check" / "check.py"


@pytest.fixture(scope="session")
def android_classes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Classes of everything, from a check that passed."""
    work = tmp_path_factory.mktemp("android")
    done = subprocess.run(
        [sys.executable, str(CHECK), "--work", str(work)], capture_output=True, text=True
    )
    if done.returncode == 3:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    (work / "said").write_text(done.stdout)
    return work


def test_every_module_compiles_and_the_tests_of_the_core_pass(android_classes: Path) -> None:
    said = (android_classes / "said").read_text()
    assert "0 tests failed" in said
    for topic in ("metadata", "resize", "prompts", "packing", "saliency", "masks", "orientation"):
        assert f"{topic}: " in said


def test_deliberate_mistakes_are_found(android_classes: Path) -> None:
    lines = (android_classes / "said").read_text().splitlines()
    counts = [line.split(": ")[1].split() for line in lines if line.startswith("mistakes in ")]
    assert len(counts) == 3
    assert all(found == made and int(made) >= 5 for found, _, made, _ in counts)


def test_without_a_compiler_the_script_says_what_to_install(tmp_path: Path) -> None:
    command = [sys.executable, str(CHECK), "--kotlin", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 3
    assert "npm install" in done.stderr or "JDK" in done.stderr
    assert os.linesep not in done.stderr.strip()
