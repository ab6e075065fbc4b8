"""The files of a web folder beside the models: the module, and the runtime that it is given."""

import base64
import hashlib
import shutil
import subprocess
import tarfile
from pathlib import Path

from sqsam_deploy._internal.temporary import scratch_directory
from sqsam_deploy.errors import MissingDependencyError, StoreError

#: The module, its types, and the name under which a bundler finds both.
MODULE_FILES = ("squeezesam.js", "squeezesam.d.ts", "package.json")
#: Folder of ONNX Runtime's files beside the module.
RUNTIME_FOLDER = "onnxruntime"
RUNTIME_VERSION = "1.30.0"
#: Of the package, as npm states it.
_INTEGRITY = (
    "sha512-"
    "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
)
#: The entry that loads no WebGPU, and nothing that a strict content security policy blocks.
RUNTIME_SCRIPT = "ort.wasm.bundle.min.mjs"
RUNTIME_WASM = "ort-wasm-simd-threaded.wasm"
_RUNTIME_FILES = {
    f"package/dist/{RUNTIME_SCRIPT}": RUNTIME_SCRIPT,
    f"package/dist/{RUNTIME_WASM}": RUNTIME_WASM,
}


def place_module(directory: Path) -> None:
    """Puts the module and its types into a directory."""
    for name in MODULE_FILES:
        shutil.copyfile(Path(__file__).parent / name, directory / name)


def place_runtime(directory: Path) -> None:
    """Puts ONNX Runtime's files into a folder of a directory, of the pinned version and hash.

    npm brings them, from its own cache where it has them.

    Raises:
        MissingDependencyError: npm is not installed.
        StoreError: npm could not bring the package, or brought other bytes.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise MissingDependencyError(
            f"npm is not installed, and brings onnxruntime-web {RUNTIME_VERSION} for the browser: "
            "install Node.js"
        )
    folder = directory / RUNTIME_FOLDER
    folder.mkdir()
    with scratch_directory("npm") as scratch:
        package = _packed(npm, scratch)
        with tarfile.open(package) as archive:
            for source, name in _RUNTIME_FILES.items():
                content = archive.extractfile(source)
                assert content is not None
                (folder / name).write_bytes(content.read())


def _packed(npm: str, scratch: Path) -> Path:
    """The package's archive, with the pinned hash."""
    wanted = f"onnxruntime-web@{RUNTIME_VERSION}"
    command = [npm, "pack", wanted, "--ignore-scripts", "--prefer-offline", "--silent"]
    done = subprocess.run(command, cwd=scratch, capture_output=True, text=True)
    archives = list(scratch.glob("*.tgz"))
    if done.returncode or len(archives) != 1:
        reason = done.stderr.strip().partition("\n")[0] or f"exit code {done.returncode}"
        raise StoreError(f"npm cannot bring {wanted}: {reason}")
    digest = hashlib.sha512(archives[0].read_bytes()).digest()
    if f"sha512-{base64.b64encode(digest).decode()}" != _INTEGRITY:
        raise StoreError(f"npm brought another {wanted} than the one with the hash {_INTEGRITY}")
    return archives[0]
