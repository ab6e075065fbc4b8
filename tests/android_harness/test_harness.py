"""The Kotlin library, compiled and tested without Gradle and the Android SDK."""

import subprocess
import sys
from pathlib import Path

from tests.android_harness.conftest import CHECK


def test_every_module_compiles_and_the_tests_of_the_core_pass(android_classes: Path) -> None:
    said = (android_classes / "said").read_text()
    assert " 0 tests failed" in said
    for topic in ("metadata", "resize", "prompts", "packing", "saliency", "masks", "auto"):
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
    assert "install" in done.stderr
    assert len(done.stderr.splitlines()) == 1
