"""The `.mlpackage` directory: a manifest, the model's protobuf and one weight file.

coremltools gives the manifest's entries random UUIDs in random order (coremltools 9.0,
`ModelPackage`); the writer here derives them from the entries' names and leaves out the day of the
conversion, so that the same model is the same bytes.
"""

import json
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqsam_deploy._internal.staging import staged_directory
from sqsam_deploy.artifact.documents import parse_json
from sqsam_deploy.errors import ArtifactError

if TYPE_CHECKING:
    from coremltools.proto.Model_pb2 import Model

_AUTHOR = "com.apple.CoreML"
_MODEL = f"{_AUTHOR}/model.mlmodel"
_WEIGHTS = f"{_AUTHOR}/weights"
_MANIFEST = "Manifest.json"
#: Metadata that coremltools adds to every converted model.
_CONVERSION_DATE = "com.github.apple.coremltools.conversion_date"
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://apple.github.io/coremltools")


@dataclass(frozen=True)
class Package:
    """A package on disk: the parsed model and the directory of its weight files."""

    model: "Model"
    weights_dir: Path


@dataclass(frozen=True)
class StoredValue:
    """A tensor that a model keeps in a weight file.

    Attributes:
        file: Name of the file.
        offset: Where its header is.
        bytes: Of its elements, which lie side by side whatever their bits.
        element_type: MIL's name in lower case: "int8", "float16".
        argument: What the operation that has it calls it: "quantized_data", "scale", "val".
    """

    file: str
    offset: int
    bytes: int
    element_type: str
    argument: str


def write_package(model: "Model", weights_file: Path, path: Path) -> None:
    """Writes a package so that it appears whole or not at all.

    Args:
        model: Its weights refer to `weights_file` by the name `weight.bin`.
        weights_file: Copied.
        path: The directory to make or replace.
    """
    with staged_directory(path, _MANIFEST) as staging:
        weights = staging / "Data" / _WEIGHTS / "weight.bin"
        weights.parent.mkdir(parents=True)
        shutil.copyfile(weights_file, weights)
        (staging / "Data" / _MODEL).write_bytes(_undated(model))
        (staging / _MANIFEST).write_bytes(_manifest().encode())


def _undated(model: "Model") -> bytes:
    copy = type(model)()
    copy.CopyFrom(model)
    copy.description.metadata.userDefined.pop(_CONVERSION_DATE, None)
    # Map fields have no order of their own: without this, bytes differ between processes.
    content: bytes = copy.SerializeToString(deterministic=True)
    return content


def _manifest() -> str:
    entries = {
        _identifier(_MODEL): _entry("model.mlmodel", _MODEL, "CoreML Model Specification"),
        _identifier(_WEIGHTS): _entry("weights", _WEIGHTS, "CoreML Model Weights"),
    }
    content = {
        "fileFormatVersion": "1.0.0",
        "itemInfoEntries": entries,
        "rootModelIdentifier": _identifier(_MODEL),
    }
    return json.dumps(content, indent=4, sort_keys=True) + "\n"


def _identifier(item: str) -> str:
    return str(uuid.uuid5(_NAMESPACE, item))


def _entry(name: str, path: str, description: str) -> dict[str, str]:
    return {"author": _AUTHOR, "description": description, "name": name, "path": path}


def read_package(path: Path) -> Package:
    """Finds and parses the parts of a package.

    Raises:
        ArtifactError: The directory is missing, or its manifest, model or weights are damaged.
    """
    if not path.is_dir():
        raise ArtifactError(f"{path} is not a Core ML package: a directory is expected")
    items = _manifest_items(path)
    model = _parse(path / "Data" / items[0])
    weights_dir = path / "Data" / items[1]
    _check_weight_files(path, model, weights_dir)
    return Package(model, weights_dir)


def _manifest_items(path: Path) -> tuple[str, str]:
    """Paths of the model and of the weights, below `Data`."""
    try:
        content = parse_json((path / _MANIFEST).read_bytes(), f"{path}: Manifest.json")
        entries = content["itemInfoEntries"]
        model = str(entries[content["rootModelIdentifier"]]["path"])
        others = [str(e["path"]) for e in entries.values() if str(e["path"]) != model]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ArtifactError(
            f"{path}: Manifest.json is missing or names no model ({type(error).__name__}): "
            "export it again"
        ) from None
    if len(others) != 1 or any(".." in Path(item).parts for item in (model, *others)):
        raise ArtifactError(f"{path}: Manifest.json must list one model and one weights folder")
    return model, others[0]


def _parse(file: Path) -> "Model":
    from sqsam_deploy._internal.upstream.coremltools import coremltools

    model_type = coremltools().proto.Model_pb2.Model
    model: Model = model_type()
    try:
        model.ParseFromString(file.read_bytes())
    except OSError:
        raise ArtifactError(f"{file} is missing: export the package again") from None
    except Exception as error:  # protobuf's DecodeError has no stable import path
        raise ArtifactError(f"{file} is no Core ML model ({error}): export it again") from None
    if model.WhichOneof("Type") != "mlProgram":
        raise ArtifactError(f"{file} is no ML Program: only ML Programs can be used here")
    return model


def _check_weight_files(path: Path, model: "Model", weights_dir: Path) -> None:
    """Every blob must lie inside its file: coremltools' reader does not check."""
    for name, end in _blob_extents(model):
        file = weights_dir / name
        if not file.is_file():
            raise ArtifactError(f"{path}: weight file {name} is missing: export it again")
        if file.stat().st_size < end:
            raise ArtifactError(f"{path}: weight file {name} is truncated: export it again")


def _blob_extents(model: "Model") -> list[tuple[str, int]]:
    """File name and lowest possible size of every weight that is kept outside the protobuf."""
    return [(stored.file, stored.offset + stored.bytes) for stored in stored_values(model)]


def stored_values(model: "Model") -> tuple[StoredValue, ...]:
    """Every tensor that is kept outside the protobuf; one that is used twice is listed once."""
    found = {
        (stored.file, stored.offset): stored
        for function in model.mlProgram.functions.values()
        for block in function.block_specializations.values()
        for operation in block.operations
        for stored in _stored_by(operation)
    }
    return tuple(found.values())


def _stored_by(operation: Any) -> Iterator[StoredValue]:
    bound = [
        (name, binding.value)
        for name, argument in operation.inputs.items()
        for binding in argument.arguments
        if binding.WhichOneof("binding") == "value"
    ]
    for name, value in [*operation.attributes.items(), *bound]:
        if value.WhichOneof("value") == "blobFileValue":
            blob, tensor = value.blobFileValue, value.type.tensorType
            element = _element_type(tensor.dataType)
            yield StoredValue(
                file=blob.fileName.split("/")[-1],
                offset=blob.offset,
                bytes=-(-_element_count(tensor) * _element_bits(element) // 8),
                element_type=element,
                argument=name,
            )


def _element_count(tensor: Any) -> int:
    count = 1
    for dimension in tensor.dimensions:
        count *= dimension.constant.size
    return count


def _element_type(data_type: int) -> str:
    from sqsam_deploy._internal.upstream.coremltools import coremltools

    name: str = coremltools().proto.MIL_pb2.DataType.Name(data_type)
    return name.lower()


def _element_bits(element_type: str) -> int:
    """Bits of one element; those of a type without a number in its name count as none."""
    return int("".join(filter(str.isdigit, element_type)) or 0)
