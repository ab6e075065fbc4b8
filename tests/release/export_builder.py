"""Small but valid export directories: a few KB of bytes under a real manifest."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqsam_deploy.artifact.manifest import (
    ArtifactEntry,
    Manifest,
    WeightsEntry,
    file_entries,
    read_manifest,
    write_manifest,
)
from sqsam_deploy.artifact.metadata import PrecisionName, RuntimeName
from sqsam_deploy.model.config import preset
from sqsam_deploy.model.description import describe
from tests.fakes import AGREEMENT

WEIGHTS_SHA256 = hashlib.sha256(b"weights").hexdigest()
ARTIFACTS: dict[str, tuple[RuntimeName, PrecisionName, str]] = {
    "nano-int8.pte": ("executorch", "int8", "1.4.1"),
    "nano-fp32.pte": ("executorch", "fp32", "1.4.1"),
    "nano-int8.onnx": ("onnx", "int8", "1.22"),
    "nano-int8.mlpackage": ("coreml", "int8", "iOS 17"),
}


class ExportBuilder:
    """Writes export directories; `seed` changes every artifact's bytes.

    Args:
        scale: Multiplies the size of the artifacts, which is 5 KB.
    """

    def __init__(self, scale: int = 1) -> None:
        self._scale = scale

    def __call__(self, directory: Path, seed: int = 0, parity: bool = True) -> Path:
        directory.mkdir(parents=True)
        for name in ARTIFACTS:
            self._write_artifact(directory / name, seed)
        manifest = self._manifest(directory)
        write_manifest(directory, manifest)
        (directory / "report.html").write_text("<!doctype html><title>report</title>\n")
        if parity:
            self.write_parity(directory, manifest)
        return directory

    def _write_artifact(self, path: Path, seed: int) -> None:
        if path.suffix != ".mlpackage":
            path.write_bytes(_bytes(f"{path.name}{seed}", 5000 * self._scale))
            return
        weights = path / "Data" / "com.apple.CoreML" / "weights"
        weights.mkdir(parents=True)
        (weights / "weight.bin").write_bytes(_bytes(f"{path.name}{seed}", 4000 * self._scale))
        (weights.parent / "model.mlmodel").write_bytes(_bytes("program", 900))
        (path / "Manifest.json").write_text('{"fileFormatVersion": "1.0.0"}')

    def _manifest(self, directory: Path) -> Manifest:
        return Manifest(
            name="squeezesam-nano",
            preset="nano",
            weights=WeightsEntry(
                name="nano.safetensors", sha256=WEIGHTS_SHA256, license="Apache-2.0"
            ),
            calibration=None,
            tools={"sqsam-deploy": "0.1.0", "torch": "2.13.0"},
            git_revision="0" * 40,
            artifacts=tuple(self._entry(directory, name) for name in ARTIFACTS),
        )

    def _entry(self, directory: Path, name: str) -> ArtifactEntry:
        runtime, precision, minimum = ARTIFACTS[name]
        return ArtifactEntry(
            path=name,
            files=file_entries(directory, [directory / name]),
            metadata=describe(
                preset("nano"),
                runtime=runtime,
                precision=precision,
                weights_sha256=WEIGHTS_SHA256,
            ),
            agreement=AGREEMENT,
            minimum_runtime=minimum,
        )

    def write_parity(self, directory: Path, manifest: Manifest, **changes: Any) -> Path:
        covered = {
            entry.path: {
                "sha256": entry.sha256,
                "drift": {"mean": 0.21, "low": 0.05, "high": 0.37},
            }
            for entry in manifest.artifacts
            if entry.metadata.precision != "fp32"
        }
        document = {"schema": "sqsam-parity/1", "passed": True, "artifacts": covered, **changes}
        path = directory / "parity.json"
        path.write_text(json.dumps(document))
        return path


def keep_artifacts(directory: Path, keep: Callable[[str], bool]) -> Path:
    """Takes the artifacts of other paths out of the manifest of an export, which is returned."""
    manifest = read_manifest(directory)
    kept = tuple(entry for entry in manifest.artifacts if keep(entry.path))
    write_manifest(directory, manifest.model_copy(update={"artifacts": kept}))
    return directory


def _bytes(seed: str, count: int) -> bytes:
    """Bytes that differ from seed to seed and do not compress."""
    return hashlib.shake_256(seed.encode()).digest(count)
