"""The graph inside an XNNPACK delegate (executorch `backends/xnnpack/serialization/schema.fbs`)."""

import json
import re
import subprocess
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import as_file, files
from importlib.resources.abc import Traversable
from typing import Any, Literal

from sqsam_deploy._internal.temporary import scratch_directory
from sqsam_deploy._internal.upstream.executorch import COMPILER
from sqsam_deploy._internal.upstream.patches import unexecuted

Arithmetic = Literal["int8", "float", "conversion"]
#: The flatbuffer compiler that ExecuTorch brings along.
_FLATC = f"flatc{sysconfig.get_config_var('EXE') or ''}"
_INT8 = ("xnn_datatype_qint8", "xnn_datatype_quint8")


@dataclass(frozen=True)
class XnnpackGraph:
    """A delegate, parsed.

    Attributes:
        document: The flatbuffer as JSON.
        flatbuffer_size: Its bytes.
        inline_size: Bytes of constants that lie in the delegate itself.
    """

    document: dict[str, Any]
    flatbuffer_size: int
    inline_size: int

    def scale_keys(self) -> set[str]:
        """Names, in the file's named data, of the scales of weights."""
        stored = self.document["constant_data"]
        indices = (_scale_index(value["xvalue_union"]) for value in self.document["xvalues"])
        return {stored[index]["named_key"] for index in indices if index > 0}

    def weight_types(self) -> dict[str, str]:
        """Element type of each constant, by its name in the named data."""
        stored = self.document["constant_data"]
        tensors = [_tensor(value["xvalue_union"]) for value in self.document["xvalues"]]
        return {
            stored[tensor["constant_buffer_idx"]]["named_key"]: _type_name(tensor["datatype"])
            for tensor in tensors
            if tensor["constant_buffer_idx"] > 0
        }

    def operators(self) -> Iterator[tuple[str, Arithmetic]]:
        """Each operator's kind, and whether its result is int8."""
        types = {
            tensor["id_out"]: tensor["datatype"]
            for tensor in (_tensor(value["xvalue_union"]) for value in self.document["xvalues"])
        }
        for node in self.document["xnodes"]:
            kind = node["xnode_union_type"].removeprefix("XNN")
            int8 = types.get(node["xnode_union"].get("output_id")) in _INT8
            yield kind, "conversion" if kind == "Convert" else "int8" if int8 else "float"


def parse_delegate(blob: bytes) -> XnnpackGraph:
    """Reads a delegate with ExecuTorch's own schema and flatbuffer compiler."""
    with unexecuted(COMPILER), unexecuted("executorch.backends.xnnpack"):
        from executorch.backends.xnnpack import serialization
        from executorch.backends.xnnpack.serialization.xnnpack_graph_serialize import XNNHeader

        schema = files(serialization) / "schema.fbs"
    header = XNNHeader.from_bytes(blob[: XNNHeader.EXPECTED_LENGTH])
    start, size = header.flatbuffer_offset, header.flatbuffer_size
    document = _as_json(blob[start : start + size], schema)
    return XnnpackGraph(document, size, header.constant_data_size)


def _as_json(flatbuffer: bytes, schema_file: Traversable) -> dict[str, Any]:
    from executorch.data import bin as binaries

    with scratch_directory("inspect") as folder:
        (folder / "graph.bin").write_bytes(flatbuffer)
        with as_file(files(binaries) / _FLATC) as flatc, as_file(schema_file) as schema:
            options = ("--json", "--defaults-json", "--strict-json", "-o", str(folder))
            command = (flatc, *options, schema, "--", folder / "graph.bin")
            subprocess.run(command, check=True, capture_output=True)
        text = (folder / "graph.json").read_text()
    # flatc writes the bounds of a ReLU as `inf`, which Python reads under another name.
    document: dict[str, Any] = json.loads(re.sub(r"(?<=: )(-?)inf\b", r"\1Infinity", text))
    return document


def _tensor(value: dict[str, Any]) -> dict[str, Any]:
    tensor: dict[str, Any] = value.get("tensor_value", value)
    return tensor


def _scale_index(value: dict[str, Any]) -> int:
    return int(value.get("quant_params", {}).get("scale_buffer_idx", 0))


def _type_name(datatype: str) -> str:
    """`xnn_datatype_qcint8` as int8: the `q` and `qc` only say how it is scaled."""
    return datatype.removeprefix("xnn_datatype_").removeprefix("qc").removeprefix("q")
