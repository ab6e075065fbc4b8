"""How much longer a pull takes than a plain copy plus hashing of the same bytes.

    python benchmarks/release.py [EXPORT] [--runtime coreml] [--rounds 15] [--folder DIR] …

Publishes an export (without one: 76 MB of incompressible bytes in four artifacts) into a folder
store, then alternates, round by round, so that a noisy machine disturbs all alike:

* copy and hash: `shutil.copyfile` of every pulled file, then SHA-256 of every copy, then fsync
  of what was written, which the pull does too;
* a cold pull (empty cache) and a warm pull (everything cached), into a fresh directory.

Prints the medians and, over rounds, the median ratio with its lowest and highest value. The goal
of the project is a cold pull at 1.2 times copy and hash or less.
"""

import argparse
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from sqsam_deploy.artifact.files import hash_file
from sqsam_deploy.release.cache import Cache
from sqsam_deploy.release.publish import publish
from sqsam_deploy.release.pull import pull
from sqsam_deploy.release.request import PublishRequest, PullRequest
from sqsam_deploy.release.source import Source
from sqsam_deploy.release.store import FolderStore, open_store

sys.path.insert(0, str(Path(__file__).parents[1]))


def main() -> None:
    arguments = parse_arguments()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        folder = Path(name)
        export = arguments.export or synthetic_export(folder / "export", arguments.scale)
        store = FolderStore(folder / "store")
        request = PublishRequest(export, version="1.0.0", name="bench", allow_unverified=True)
        publish(store, request)
        measure(folder, store.url, arguments.rounds, arguments.runtime)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("export", nargs="?", type=Path)
    parser.add_argument("--runtime", help="pull only its artifacts")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--folder", type=Path, default=None)
    parser.add_argument("--scale", type=int, default=4000, help="a package has 4 KB times this")
    return parser.parse_args()


def synthetic_export(directory: Path, scale: int) -> Path:
    """The tests' synthetic export, with artifacts so many times larger."""
    builder = import_module("tests.release.export_builder").ExportBuilder(scale)
    made: Path = builder(directory)
    return made


def measure(folder: Path, url: str, rounds: int, runtime: str | None) -> None:
    bring(url, folder / "cache", folder / "pulled", runtime)
    files = [path for path in (folder / "pulled").rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in files)
    plain, cold, warm = [], [], []
    for _ in range(rounds):
        shutil.rmtree(folder / "cache")
        free_pages(folder, 2 * size)
        plain.append(timed(lambda: copy_and_hash(folder / "pulled", files, folder / "copy")))
        shutil.rmtree(folder / "copy")
        free_pages(folder, 2 * size)
        cold.append(timed(lambda: bring(url, folder / "cache", folder / "out", runtime)))
        shutil.rmtree(folder / "out")
        warm.append(timed(lambda: bring(url, folder / "cache", folder / "out", runtime)))
        shutil.rmtree(folder / "out")
    print(f"{size / 1e6:.1f} MB, {len(files)} files, {rounds} rounds")
    print(f"copy and hash  {statistics.median(plain) * 1e3:8.1f} ms")
    report("cold pull", cold, plain)
    report("warm pull", warm, plain)


def free_pages(folder: Path, size: int) -> None:
    """Writes and deletes a file, so that what is timed next finds memory that is in use.

    A virtual machine gives free memory back to its host, and to get it again takes ten times as
    long as to write to it: by chance, the copy or the pull would pay for that.
    """
    scratch = folder / "scratch"
    with scratch.open("wb") as file:
        for _ in range(size >> 16):
            file.write(bytes(1 << 16))
    scratch.unlink()


def report(name: str, times: list[float], plain: list[float]) -> None:
    ratios = sorted(time / base for time, base in zip(times, plain, strict=True))
    middle, ratio = statistics.median(times) * 1e3, statistics.median(ratios)
    print(
        f"{name:14} {middle:8.1f} ms, {ratio:.2f} times copy and hash "
        f"({ratios[0]:.2f} to {ratios[-1]:.2f})"
    )


def bring(url: str, cache: Path, output: Path, runtime: str | None) -> None:
    source = Source(open_store(url), Cache(cache), print)
    request = PullRequest("bench@1.0.0", output=output, runtimes=(runtime,) if runtime else ())
    pull(source, request, lambda what, total: lambda count: None)


def copy_and_hash(root: Path, files: list[Path], target: Path) -> None:
    for path in files:
        copied = target / path.relative_to(root)
        copied.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copied)
        hash_file(copied)
        handle = os.open(copied, os.O_RDONLY)
        os.fsync(handle)
        os.close(handle)


def timed(action: Callable[[], None]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
