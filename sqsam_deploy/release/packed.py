"""What `pack` makes of a package, byte for byte: its files as they are, and headers around them.

An archive can so be cut into the files in it, and told to be the right one, without being parsed.
Layout: PKWARE's APPNOTE 4.3.7 (header of a file), 4.3.12 (table of contents) and 4.3.16 (its end).
"""

import struct
import zipfile
from collections.abc import Sequence
from itertools import chain

from sqsam_deploy.artifact.files import FileEntry, hash_bytes
from sqsam_deploy.artifact.manifest import ArtifactEntry
from sqsam_deploy.release.archive import MODE, UNIX, archive_order
from sqsam_deploy.release.pieces import PieceSums

_VERSION = 20
#: 1980-01-01 in a zip's own terms, and the flag of a name in UTF-8.
_DATE = 1 << 5 | 1
_UTF8_NAME = 1 << 11
#: Files that come near 2 GB get other headers (zip64).
_LIMIT = 1 << 30


class PackedArchive:
    """One package's archive as pieces: a header, a file, a header, …, the table of contents."""

    def __init__(self, artifact: ArtifactEntry) -> None:
        self.files = archive_order(artifact)

    def may_have(self, size: int) -> bool:
        """Whether `pack` may have made an archive of so many bytes of the package."""
        content = sum(entry.bytes for entry in self.files)
        return content < size < _LIMIT and sum(self.sizes) == size

    @property
    def sizes(self) -> tuple[int, ...]:
        """Bytes of each piece."""
        around = [len(header) for header in self._around([0] * len(self.files))]
        files = [entry.bytes for entry in self.files]
        return (*chain.from_iterable(zip(around, files, strict=False)), around[-1])

    def is_made_of(self, sums: Sequence[PieceSums]) -> bool:
        """Whether pieces with these sums are the files of the manifest and what belongs around."""
        around, files = sums[::2], sums[1::2]
        expected = self._around([piece.crc32 for piece in files])
        return [piece.sha256 for piece in files] == [entry.sha256 for entry in self.files] and [
            piece.sha256 for piece in around
        ] == [hash_bytes(header) for header in expected]

    def _around(self, checksums: Sequence[int]) -> tuple[bytes, ...]:
        """A header for each file, given the CRC-32 of each, and the table of contents."""
        heads, rows, offset = [], [], 0
        for entry, checksum in zip(self.files, checksums, strict=True):
            described = _description(entry, checksum)
            name = entry.path.encode()
            heads.append(b"PK\3\4" + described + struct.pack("<H", 0) + name)
            rows.append(
                struct.pack("<4s2B", b"PK\1\2", _VERSION, UNIX)
                + described
                + struct.pack("<4H2L", 0, 0, 0, 0, MODE << 16, offset)
                + name
            )
            offset += len(heads[-1]) + entry.bytes
        return (*heads, _table(rows, offset))


def _description(entry: FileEntry, checksum: int) -> bytes:
    """The fields that a file's header and its row in the table share."""
    name = entry.path.encode()
    flags = 0 if name.isascii() else _UTF8_NAME
    kind = (_VERSION, flags, zipfile.ZIP_STORED, 0, _DATE)
    return struct.pack("<5H3LH", *kind, checksum, entry.bytes, entry.bytes, len(name))


def _table(rows: Sequence[bytes], offset: int) -> bytes:
    content = b"".join(rows)
    count = len(rows)
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, count, count, len(content), offset, 0)
    return content + end
