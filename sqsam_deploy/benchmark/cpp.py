"""ExecuTorch in a C++ program: an app's memory, load time and first inference, without Python.

The program is built from the headers and libraries that ExecuTorch's wheel for Linux brings, and
speaks with its parent as `worker` does.
"""

import platform
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import replace
from importlib.resources import as_file, files
from importlib.util import find_spec
from pathlib import Path

from sqsam_deploy.benchmark.photos import bind_photo, load_photos
from sqsam_deploy.benchmark.subjects import RunnableSubject
from sqsam_deploy.errors import ArtifactError, MissingDependencyError
from sqsam_deploy.runtimes.executorch import RUNTIME as EXECUTORCH
from sqsam_deploy.runtimes.registry import runtime_of_metadata

VARIANT = "C++"
_COMPILERS = ("c++", "g++", "clang++")
#: Photos that inputs are made from: every one of them lies in the process's memory.
_PHOTOS = 2
_C10 = "include/executorch/runtime/core/portable_type/c10"


def cpp_targets(targets: Iterable[RunnableSubject], folder: Path) -> list[RunnableSubject]:
    """The ExecuTorch artifacts among some subjects, each run by a C++ program as well.

    Args:
        targets: Subjects of this run.
        folder: Where the program and its inputs are put; it has to last as long as the run.

    Raises:
        MissingDependencyError: There is no compiler, or ExecuTorch's wheel lacks its headers.
        ArtifactError: The program cannot be built.
    """
    chosen = [target for target in targets if target.subject.runtime == EXECUTORCH.name]
    program = build_worker(folder) if chosen else folder
    return [_target(target, program, folder / str(index)) for index, target in enumerate(chosen)]


def build_worker(folder: Path) -> Path:
    """Compiles the program into a folder.

    Raises:
        MissingDependencyError: There is no compiler, or ExecuTorch's wheel lacks its headers.
        ArtifactError: The compiler fails.
    """
    root = _executorch()
    compiler = next(filter(None, map(shutil.which, _COMPILERS)), None)
    if compiler is None or platform.system() != "Linux":
        raise MissingDependencyError("--cpp needs Linux and a C++ compiler: install g++")
    if not (root / _C10).is_dir() or not (root / "lib" / "libexecutorch.so").is_file():
        raise MissingDependencyError(
            f"--cpp needs the headers and libraries that executorch 1.5 brings, and {root.name} "
            "has none: install executorch>=1.5"
        )
    program, lib = folder / "worker", root / "lib"
    with as_file(files("sqsam_deploy.benchmark") / "worker.cpp") as source:
        command = [compiler, "-std=c++17", "-O2", "-DC10_USING_CUSTOM_GENERATED_MACROS"]
        command += [f"-I{root / 'include'}", f"-I{root / _C10}", str(source), f"-L{lib}"]
        command += ["-lexecutorch", "-lexecutorch_threadpool", f"-Wl,-rpath,{lib}", "-ldl"]
        done = subprocess.run([*command, "-o", str(program)], capture_output=True, text=True)
    if done.returncode:
        reason = done.stderr.strip().partition("\n")[0]
        raise ArtifactError(f"worker.cpp cannot be built: {reason}")
    return program


def library_paths(products: Iterable[str]) -> list[Path]:
    """Shared libraries of ExecuTorch's wheel, by the names that the Swift package gives them."""
    lib = _executorch() / "lib"
    return [lib / f"libexecutorch_{name}.so" for name in products if name != "executorch"]


def _executorch() -> Path:
    found = find_spec("executorch")
    if found is None or not found.submodule_search_locations:
        raise MissingDependencyError("--cpp needs the package executorch: install it")
    return Path(next(iter(found.submodule_search_locations)))


def _target(target: RunnableSubject, program: Path, inputs: Path) -> RunnableSubject:
    assert target.metadata is not None, "an artifact comes with its metadata"
    path = Path(target.target)
    _write_inputs(target, inputs)
    runtime = runtime_of_metadata(target.metadata, path)
    (package,) = runtime.on_device(target.metadata, path).requirements.swift
    libraries = map(str, library_paths(package.products))
    name = f"{target.subject.name} in {VARIANT}"
    return replace(
        target,
        subject=target.subject.model_copy(update={"name": name}),
        program=(str(program), str(path), "{threads}", str(inputs), str(_PHOTOS), *libraries),
        variant=VARIANT,
    )


def _write_inputs(target: RunnableSubject, folder: Path) -> None:
    """Photos with prompts, bound as the artifact takes them: `0-0.bin` and so on."""
    assert target.metadata is not None, "an artifact comes with its metadata"
    folder.mkdir()
    for index, photo in enumerate(load_photos(_PHOTOS)):
        feeds = bind_photo(photo, target.metadata)
        for place, spec in enumerate(target.metadata.inputs):
            (folder / f"{index}-{place}.bin").write_bytes(feeds[spec.name].tobytes())
