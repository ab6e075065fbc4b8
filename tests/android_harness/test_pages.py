"""`check/pages.py` against libraries that a linker really made."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.android_harness.conftest import CHECK

PAGES = CHECK.parent / "pages.py"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """A shared library for pages of 4 KB, and one for pages of 16 KB."""
    if shutil.which("gcc") is None:
        pytest.skip("there is no gcc")
    folder = tmp_path_factory.mktemp("libraries")
    (folder / "one.c").write_text("int one(void) { return 1; }\n")
    made = {size: folder / f"lib{size}.so" for size in (4096, 16384)}
    for size, path in made.items():
        flags = [
            "-shared",
            "-fPIC",
            f"-Wl,-z,max-page-size={size}",
            f"-Wl,-z,common-page-size={size}",
        ]
        subprocess.run(["gcc", *flags, str(folder / "one.c"), "-o", str(path)], check=True)
    return made


def pages(*paths: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(PAGES), *map(str, paths)]
    return subprocess.run(command, capture_output=True, text=True)


def test_a_library_for_small_pages_is_found(built: dict[int, Path]) -> None:
    assert pages(built[16384]).returncode == 0
    done = pages(built[16384], built[4096])
    assert done.returncode == 1
    assert "lib4096.so: a segment is aligned to 4096 bytes" in done.stdout


def archive(path: Path, library: Path, *, padding: int = 0, compressed: bool = False) -> Path:
    method = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
    with zipfile.ZipFile(path, "w") as target:
        entry = zipfile.ZipInfo("lib/x86_64/lib.so")
        entry.compress_type = method
        # An extra field of its own kind, as zipalign pads.
        entry.extra = (
            b"\x35\xd9" + (padding - 4).to_bytes(2, "little") + bytes(padding - 4)
            if padding
            else b""
        )
        target.writestr(entry, library.read_bytes())
    return path


def test_an_uncompressed_library_has_to_begin_at_a_page(
    built: dict[int, Path], tmp_path: Path
) -> None:
    here = archive(tmp_path / "a.apk", built[16384])
    done = pages(here)
    assert done.returncode == 1
    assert "zipalign" in done.stdout
    padding = 16384 - 30 - len("lib/x86_64/lib.so")
    assert pages(archive(tmp_path / "b.apk", built[16384], padding=padding)).returncode == 0
    assert pages(archive(tmp_path / "c.apk", built[16384], compressed=True)).returncode == 0
    assert pages(archive(tmp_path / "d.aar", built[16384])).returncode == 0
    assert pages(archive(tmp_path / "e.aar", built[4096])).returncode == 1


def test_nothing_to_look_at_is_no_success(tmp_path: Path) -> None:
    (tmp_path / "lib.so").write_bytes(b"\x7fELF\x01\x01" + bytes(60))
    assert pages(tmp_path / "lib.so").returncode == 3
