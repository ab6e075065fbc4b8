"""ExecuTorch's flattened directory, written in an order of its own.

All files' bytes one behind the other, then a JSON index, reversed byte by byte so that a reader
can start at the end. `executorchcoreml.flatten_directory_contents` writes the same format in the
order in which the file system lists the directory, which differs between machines.

Format: executorch, `backends/apple/coreml/runtime/inmemoryfs`.
"""

import json
from pathlib import Path
from typing import Any

#: Name of the outermost directory, which ExecuTorch's reader makes again.
ROOT_NAME = "lowered_module"

_FILE, _DIRECTORY = 0, 1


def flatten(directory: Path) -> bytes:
    """The bytes of a directory, sorted by name."""
    content = bytearray()
    nodes: list[dict[str, Any]] = []
    _append(directory, ROOT_NAME, content, nodes)
    index = json.dumps({"nodes": nodes}, sort_keys=True, separators=(",", ":"))
    return bytes(content) + index.encode()[::-1]


def _append(path: Path, name: str, content: bytearray, nodes: list[dict[str, Any]]) -> int:
    """Adds a file or a directory behind its children; returns its place in the index."""
    children: dict[str, int] = {}
    offset = size = 0
    if path.is_dir():
        for child in sorted(path.iterdir()):
            children[child.name] = _append(child, child.name, content, nodes)
    else:
        data = path.read_bytes()
        offset, size = len(content), len(data)
        content += data
    nodes.append(
        {
            "children": children,
            "dataRegion": {"offset": offset, "size": size},
            "kind": _DIRECTORY if path.is_dir() else _FILE,
            "name": name,
        }
    )
    return len(nodes) - 1
