"""The Kotlin library around the real networks: this package runs them, Kotlin does the rest."""

import os
import subprocess
import sys
from pathlib import Path

NETWORK = Path(__file__).parent / "network.py"
VECTORS = Path(__file__).parents[1] / "vectors"


def test_masks_are_those_of_python(android_classes: Path, nano_export: Path) -> None:
    path = (android_classes / "class-path").read_text()
    command = [
        *("java", f"-Dsqsam.vectors={VECTORS}", f"-Dsqsam.artifacts={nano_export}"),
        *(f"-Dsqsam.network={sys.executable} {NETWORK}", "-XX:TieredStopAtLevel=1", "-cp", path),
        *("org.junit.platform.console.ConsoleLauncher", "--disable-banner", "--fail-if-no-tests"),
        *("--select-class", "io.github.sqsamdeploy.EndToEndTest", "--details=tree"),
    ]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, sys.path))}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert "nano, onnx, int8" in done.stdout
    assert "nano, executorch, int8" in done.stdout
