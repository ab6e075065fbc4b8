"""The page as a folder that any static host serves: it runs the models in the browser."""

import base64
import hashlib
import json
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sqsam_deploy._internal.staging import staged_directory
from sqsam_deploy.artifact.files import files_in
from sqsam_deploy.artifact.metadata import ArtifactMetadata
from sqsam_deploy.demo.server import EXAMPLE, STATIC
from sqsam_deploy.demo.serving import HEADERS
from sqsam_deploy.errors import ArtifactError, UsageError
from sqsam_deploy.runtimes.registry import all_runtimes, read_metadata
from sqsam_deploy.web import place_module, place_runtime
from sqsam_deploy.web.folder import RUNTIME_FOLDER, RUNTIME_WASM

#: Says what the page runs; also marks a folder as one of ours.
PAGE_NAME = "page.json"
_SERVICE_WORKER = "service-worker.js"
_PAGE_FILES = ("index.html", "style.css", "page.js", "browser.js", "worker.js", _SERVICE_WORKER)


@dataclass(frozen=True)
class WebModel:
    """A segmentation artifact and the saliency artifact that picks its first clicks.

    Attributes:
        metadata: Of the segmentation artifact.
    """

    segmentation: Path
    saliency: Path
    metadata: ArtifactMetadata


def find_models(artifact: Path, saliency: Path | None) -> tuple[WebModel, ...]:
    """The models of a page.

    Args:
        artifact: An artifact that runs in a browser, or a directory of artifacts.
        saliency: The network that picks the first clicks; None takes the artifact of the same
            precision beside each.

    Raises:
        ArtifactError: A file is missing or damaged.
        UsageError: Nothing there runs in a browser, or there is no saliency network for it.
    """
    suffixes = {each.suffix for each in all_runtimes() if "Web" in each.systems}
    if saliency is not None and (
        saliency.suffix not in suffixes or read_metadata(saliency).task != "saliency"
    ):
        raise UsageError(f"{saliency} is no saliency network that runs in a browser")
    folder = artifact if artifact.is_dir() else artifact.parent
    found = _artifacts_in(folder, suffixes)
    if artifact.suffix in suffixes:
        found[artifact] = read_metadata(artifact)
    wanted = found if artifact.is_dir() else {artifact} & found.keys()
    # A page begins with the first: the one that takes least to download.
    models = sorted(
        (path for path in wanted if found[path].task == "segmentation"),
        key=lambda path: path.stat().st_size,
    )
    if not models:
        raise UsageError(
            f"{artifact} is nothing that runs in a browser: give a segmentation artifact that ends "
            f"in {' or '.join(sorted(suffixes))}, or a directory with one"
        )
    return tuple(
        WebModel(path, saliency or _saliency_for(path, found), found[path]) for path in models
    )


def _artifacts_in(folder: Path, suffixes: set[str]) -> dict[Path, ArtifactMetadata]:
    """The package's own artifacts among a folder's files."""
    found = {}
    for path in sorted(folder.glob("*.*")):
        if path.suffix in suffixes:
            with suppress(ArtifactError):
                found[path] = read_metadata(path)
    return found


def _saliency_for(path: Path, found: dict[Path, ArtifactMetadata]) -> Path:
    precision = found[path].precision
    for other, metadata in found.items():
        if metadata.task == "saliency" and metadata.precision == precision:
            return other
    raise UsageError(
        f"there is no saliency artifact of precision {precision} beside {path}: name one with "
        "--saliency"
    )


def write_page(directory: Path, models: Sequence[WebModel]) -> None:
    """Writes the page, its models and what runs them; the folder appears whole or not at all.

    Raises:
        MissingDependencyError: npm, which brings ONNX Runtime, is not installed.
        StoreError: npm could not bring it.
        UsageError: The directory holds something else.
    """
    with staged_directory(directory, PAGE_NAME) as staging:
        place_runtime(staging)
        place_module(staging)
        for name in _PAGE_FILES:
            shutil.copyfile(STATIC / name, staging / name)
        shutil.copyfile(EXAMPLE, staging / "example.jpg")
        for path in {path for model in models for path in (model.segmentation, model.saliency)}:
            shutil.copyfile(path, staging / path.name)
        about = {
            "backend": "browser",
            "models": [_describe(staging, model) for model in models],
            "runtime": {"wasm": _file(staging, f"{RUNTIME_FOLDER}/{RUNTIME_WASM}")},
            "files": [PAGE_NAME, *_kept_offline(staging)],
        }
        (staging / PAGE_NAME).write_text(json.dumps(about, indent=2) + "\n")
        (staging / "_headers").write_text(_headers())


def _describe(folder: Path, model: WebModel) -> dict[str, object]:
    about = model.metadata
    return {
        "title": f"{about.preset} {about.precision}",
        "preset": about.preset,
        "segmentation": _file(folder, model.segmentation.name),
        "saliency": _file(folder, model.saliency.name),
    }


def _file(folder: Path, name: str) -> dict[str, object]:
    """A file as the page fetches it: the browser refuses other bytes."""
    content = (folder / name).read_bytes()
    digest = base64.b64encode(hashlib.sha256(content).digest()).decode()
    return {"path": name, "bytes": len(content), "integrity": f"sha256-{digest}"}


def _kept_offline(folder: Path) -> list[str]:
    names = (path.relative_to(folder).as_posix() for path in files_in(folder))
    return sorted(name for name in names if name != _SERVICE_WORKER)


def _headers() -> str:
    """The headers in the format of Netlify and Cloudflare Pages."""
    return "/*\n" + "".join(f"  {name}: {value}\n" for name, value in HEADERS)
