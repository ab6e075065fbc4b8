"""Checks that native libraries load on Android devices with memory pages of 16 KB.

    python android_harness/check/pages.py app.apk litert.aar libexecutorch.so

Google Play wants it of apps for Android 15 and later: the segments of every 64-bit library are
aligned to 16 KB (https://developer.android.com/guide/practices/page-sizes), and in an APK a library
that is stored uncompressed begins at a multiple of it, because it is mapped where it is.

Exit codes: 0 all do, 1 one does not, 3 there is no 64-bit library to look at.
"""

import struct
import sys
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

PAGE = 16 << 10
_LOAD = 1
_LOCAL_HEADER = 30


def segment_alignments(library: bytes) -> list[int]:
    """Alignment of each loaded segment of a 64-bit little-endian ELF file; empty of any other."""
    if library[:6] != b"\x7fELF\x02\x01":
        return []
    offset, size, count = struct.unpack_from("<Q14xHH", library, 32)
    headers = [struct.unpack_from("<I44xQ", library, offset + i * size) for i in range(count)]
    return [alignment for kind, alignment in headers if kind == _LOAD]


def libraries(path: Path) -> Iterator[tuple[str, bytes, int | None]]:
    """Name, bytes, and in an APK the position of each library that is stored uncompressed."""
    if not zipfile.is_zipfile(path):
        yield path.name, path.read_bytes(), None
        return
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            if entry.filename.endswith(".so"):
                mapped = path.suffix == ".apk" and entry.compress_type == zipfile.ZIP_STORED
                position = _position(path, entry) if mapped else None
                yield f"{path.name}: {entry.filename}", archive.read(entry), position


def _position(path: Path, entry: zipfile.ZipInfo) -> int:
    """Where an entry's bytes begin; its local header has lengths of its own."""
    with path.open("rb") as file:
        file.seek(entry.header_offset)
        name, extra = struct.unpack_from("<HH", file.read(_LOCAL_HEADER), 26)
    return entry.header_offset + _LOCAL_HEADER + name + extra


def problems(library: bytes, position: int | None) -> list[str]:
    """The reasons that keep a library from pages of 16 KB."""
    small = [alignment for alignment in segment_alignments(library) if alignment % PAGE]
    found = [f"a segment is aligned to {min(small)} bytes, not to {PAGE}"] if small else []
    if position is not None and position % PAGE:
        found.append(f"it begins at {position}, which is no multiple of {PAGE}: zipalign -P 16")
    return found


def main(arguments: Sequence[str]) -> int:
    """Checks files and archives; prints a line for each 64-bit library."""
    checked = failed = 0
    for argument in arguments:
        for name, library, position in libraries(Path(argument)):
            if not segment_alignments(library):
                continue
            checked += 1
            found = problems(library, position)
            failed += bool(found)
            print(f"{name}: {'; '.join(found) or 'loads with pages of 16 KB'}")
    if not checked:
        print("there is no 64-bit library", file=sys.stderr)
        return 3
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
