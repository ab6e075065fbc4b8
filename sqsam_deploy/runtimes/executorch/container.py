"""The .pte container: is the file whole before C++ reads it?

Structure (executorch `schema/extended_header.h`): a flatbuffer with identifier "ET12" whose first
bytes are followed by an extended header, then the segments with weights and delegates. The
runtime checks a missing segment only when it reads it, so length is checked here.
"""

from pathlib import Path

from sqsam_deploy.artifact.files import require_file
from sqsam_deploy.errors import ArtifactError

_IDENTIFIER = slice(4, 8)
_IDENTIFIERS = (b"ET12",)
_HEADER_OFFSET = 8
_HEADER_MAGIC = b"eh00"
_HEADER_LENGTH = 32


def check_container(path: Path) -> None:
    """Confirms that a file is a .pte and as long as its header says.

    Raises:
        ArtifactError: The file is missing, of another kind, or cut short.
    """
    require_file(path)
    with path.open("rb") as file:
        head = file.read(_HEADER_OFFSET + _HEADER_LENGTH)
    header = head[_HEADER_OFFSET:]
    if head[_IDENTIFIER] not in _IDENTIFIERS or header[:4] != _HEADER_MAGIC:
        raise ArtifactError(f"{path} is no ExecuTorch program: export it or download it again")
    expected, actual = _stated_size(header), path.stat().st_size
    if len(header) < _HEADER_LENGTH or actual < expected:
        raise ArtifactError(
            f"{path} is cut short: {actual} bytes of {expected}; export it or download it again"
        )


def _stated_size(header: bytes) -> int:
    """Bytes up to the end of the last segment, or of the program where there are no segments."""
    program, base, segments = (
        int.from_bytes(header[start : start + 8], "little") for start in (8, 16, 24)
    )
    return max(program, base + segments)
