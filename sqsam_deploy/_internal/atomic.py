"""Files that appear whole or not at all."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """A temporary sibling, to be written, that takes the file's place when the block ends.

    No reader ever sees half of it, also when the process is killed or the power fails; where the
    block raises, what stood at `path` stands there unchanged.

    Raises:
        OSError: The disk is full or the folder cannot be written.
    """
    writer = f"{os.getpid()}-{threading.get_ident()}"  # two writers of one path do not meet
    partial = path.with_name(f".{path.name}.{writer}.partial")
    try:
        yield partial
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def atomic_write(path: Path, content: bytes) -> None:
    """Writes a file that appears, or takes the place of an older one, in one step.

    Raises:
        OSError: The disk is full or the folder cannot be written.
    """
    with atomic_file(path) as partial:
        partial.write_bytes(content)
