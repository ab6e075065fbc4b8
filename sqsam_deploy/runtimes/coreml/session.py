"""Core ML packages that can be run: natively on macOS, by the reference executor elsewhere."""

import platform
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from typing_extensions import override

from sqsam_deploy._internal.upstream.coremltools import coremltools
from sqsam_deploy.artifact.metadata import METADATA_KEY, ArtifactMetadata, stored_metadata
from sqsam_deploy.errors import ArtifactError
from sqsam_deploy.runtimes.coreml.images import channel_orders, to_program_inputs
from sqsam_deploy.runtimes.coreml.package import Package, read_package
from sqsam_deploy.runtimes.coreml.reference import ReferenceExecutor
from sqsam_deploy.runtimes.coreml.reference.program import load_program
from sqsam_deploy.runtimes.session import Session


class ReferenceSession(Session):
    """Runs a package with the reference executor."""

    def __init__(self, package: Package, metadata: ArtifactMetadata) -> None:
        self.metadata = metadata
        self._orders = channel_orders(package.model)
        self._executor = ReferenceExecutor(load_program(package))

    @override
    def execute(
        self, feeds: Mapping[str, NDArray[np.generic]]
    ) -> Mapping[str, NDArray[np.generic]]:
        outputs = self._executor.run(to_program_inputs(feeds, self._orders))
        return {name: value.float().numpy() for name, value in outputs.items()}


class NativeSession(Session):
    """Runs a package with Core ML itself (macOS)."""

    def __init__(self, path: Path, metadata: ArtifactMetadata) -> None:
        self.metadata = metadata
        self._model = coremltools().models.MLModel(str(path))

    @override
    def execute(
        self, feeds: Mapping[str, NDArray[np.generic]]
    ) -> Mapping[str, NDArray[np.generic]]:
        from PIL import Image

        images = {spec.name for spec in self.metadata.inputs if spec.layout == "image"}
        bound = {
            name: Image.fromarray(value[0]) if name in images else value
            for name, value in feeds.items()
        }
        outputs: Mapping[str, NDArray[np.generic]] = self._model.predict(bound)
        return outputs


def open_session(path: Path, threads: int | None = None) -> Session:
    """Loads a package so that it can be run.

    Args:
        path: The `.mlpackage` directory.
        threads: CPU threads of the reference executor, for the whole process; None leaves them.
            Core ML chooses its own.

    Raises:
        ArtifactError: The package is missing, damaged, not written by this tool, or holds an
            operator that the reference executor does not know.
    """
    package = read_package(path)
    metadata = parse_metadata(package, path)
    if _has_core_ml():
        return NativeSession(path, metadata)
    if threads is not None:
        torch.set_num_threads(threads)
    return ReferenceSession(package, metadata)


def read_metadata(path: Path) -> ArtifactMetadata:
    """The metadata stored in a package; its program is not loaded.

    Raises:
        ArtifactError: The package is missing, damaged or was not written by this tool.
    """
    return parse_metadata(read_package(path), path)


def parse_metadata(package: Package, path: Path) -> ArtifactMetadata:
    """The metadata of an opened package; `path` is only for the message.

    Raises:
        ArtifactError: There is none, or it cannot be understood.
    """
    text = package.model.description.metadata.userDefined.get(METADATA_KEY)
    if not text:
        raise ArtifactError(f"{path} was not written by sqsam-export: it has no '{METADATA_KEY}'")
    return stored_metadata(text, str(path))


def runtime_version() -> str:
    """The software that runs packages on this machine, with its version, for the manifest."""
    version = coremltools().__version__
    if _has_core_ml():
        return f"Core ML on macOS {platform.mac_ver()[0]}, coremltools {version}"
    return f"reference executor on torch {torch.__version__}, coremltools {version}"


def _has_core_ml() -> bool:
    return platform.system() == "Darwin"
