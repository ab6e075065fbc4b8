"""The Core ML delegate's data in a `.pte`: a directory flattened into one run of bytes.

It holds `model.mlpackage` and `metadata.json`, which names the model for the device's cache of
compiled models and lists inputs and outputs in the order of the delegate's arguments. Format:
executorch, `backends/apple/coreml/runtime/inmemoryfs`.
"""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqsam_deploy._internal.temporary import scratch_directory
from sqsam_deploy.artifact.documents import parse_json
from sqsam_deploy.errors import ArtifactError
from sqsam_deploy.runtimes.coreml.package import Package, read_package, write_package
from sqsam_deploy.runtimes.executorch_coreml.filesystem import ROOT_NAME, flatten

_MODEL = "model.mlpackage"
_METADATA = "metadata.json"


@dataclass(frozen=True)
class DelegateModel:
    """An unpacked delegate.

    Attributes:
        package: The Core ML package.
        inputs: The package's input names, in the order of the delegate's arguments.
        outputs: The same of its outputs, which follow the inputs.
    """

    package: Package
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def reproducible(blob: bytes) -> bytes:
    """The same delegate without what differs from run to run.

    ExecuTorch names a model `executorch_` and a random UUID, coremltools' manifest holds random
    UUIDs, and the order of the files is that of the file system. The name must differ between
    models, because compiled models are cached under it: here it is the hash of the model. The
    mapping from operators to nodes of the exported program, which only profiling on a device
    reads, is left out.
    """
    with _unflattened(blob) as source, scratch_directory("coreml") as target:
        package = read_package(source / _MODEL)
        write_package(package.model, package.weights_dir / "weight.bin", target / _MODEL)
        metadata = json.loads((source / _METADATA).read_text())
        metadata["identifier"] = f"executorch_{_fingerprint(target / _MODEL)}"
        (target / _METADATA).write_text(json.dumps(metadata, sort_keys=True))
        return flatten(target)


def _fingerprint(directory: Path) -> str:
    digest = hashlib.sha256()
    for file in sorted(item for item in directory.rglob("*") if item.is_file()):
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:32]


@contextmanager
def unpacked(blob: bytes) -> Iterator[DelegateModel]:
    """The model in a delegate's bytes; its files are gone when the block ends.

    Raises:
        ArtifactError: The bytes are damaged.
    """
    with _unflattened(blob) as directory:
        try:
            metadata = parse_json((directory / _METADATA).read_bytes(), _METADATA)
            inputs, outputs = tuple(metadata["inputNames"]), tuple(metadata["outputNames"])
        except (OSError, ArtifactError, TypeError, KeyError):
            raise ArtifactError("the Core ML delegate in the .pte has no metadata.json") from None
        yield DelegateModel(read_package(directory / _MODEL), inputs, outputs)


@contextmanager
def _unflattened(blob: bytes) -> Iterator[Path]:
    from executorch.backends.apple.coreml import executorchcoreml

    with scratch_directory("coreml") as folder:
        try:
            done = executorchcoreml.unflatten_directory_contents(blob, str(folder))
        except Exception:  # the extension raises what its C++ does
            done = False
        if not done:
            raise ArtifactError("the Core ML delegate in the .pte is damaged: export it again")
        yield folder / ROOT_NAME
