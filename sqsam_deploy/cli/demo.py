"""`sqsam-demo`: a local web page that cuts objects out of photos."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from sqsam_deploy._internal.requests import POSITIVE
from sqsam_deploy._internal.terminal import say
from sqsam_deploy.cli._app import loading, make_app, run
from sqsam_deploy.cli._output import answer
from sqsam_deploy.errors import UsageError

if TYPE_CHECKING:
    from starlette.applications import Starlette

#: Under these names a browser on this machine addresses the server.
_LOCAL_NAMES = ("127.0.0.1", "localhost", "::1", "[::1]")
_EVERY_ADDRESS = ("0.0.0.0", "::")


app = make_app("sqsam-demo", "[OPTIONS] [ARTIFACT]")


@app.default
def demo(
    artifact: Annotated[Path | None, Parameter(metavar="ARTIFACT")] = None,
    /,
    *,
    saliency: Annotated[Path | None, Parameter(metavar="FILE")] = None,
    host: str = "127.0.0.1",
    port: Annotated[int, Parameter(validator=Number(gte=0, lte=65535))] = 8765,
    threads: Annotated[int | None, POSITIVE] = None,
    static: Annotated[Path | None, Parameter(metavar="DIR")] = None,
) -> None:
    """Serve a page that cuts the object out of a dropped photo and refines the result by clicks.

    Photos stay on this machine and in memory. Ctrl-C ends the server.

    Exit codes: 0 the folder is written, 2 wrong usage, 3 something could not be read or served,
    130 ended by Ctrl-C.

    Args:
        artifact: Artifact (.pte, .onnx, .mlpackage or .tflite), checkpoint (a file, or paper or
            nano, the bundled ones), or a folder that --static wrote. Without it, paper.
        saliency: Network that picks the first clicks. Without it, the bundled one; with --static,
            the artifact beside.
        host: Address to listen on. With 0.0.0.0, other devices can connect.
        port: Port to listen on; 0 takes any free one.
        threads: Number of CPU threads. Without it, the runtime's default.
        static: Write the page to a folder instead, for any static host: the ONNX artifact, or each
            one of a directory, then runs in the browser. Needs npm.
    """
    if static is not None:
        _write(static, artifact, saliency)
        return
    # Whoever listens on every address is meant to be reached under names nobody can list.
    hosts = ("*",) if host in _EVERY_ADDRESS else (*_LOCAL_NAMES, host)
    with loading():
        from sqsam_deploy.demo.folder import PAGE_NAME
        from sqsam_deploy.demo.serving import listen, serve

        if artifact is not None and (artifact / PAGE_NAME).is_file():
            app, title = _folder_app(artifact, hosts)
        else:
            app, title = _studio_app(artifact, saliency, threads, hosts)
    socket = listen(host, port)
    url = f"http://{_shown(host)}:{socket.getsockname()[1]}/"
    answer({"url": url, "artifact": title})
    say(f"{title}: {url} (Ctrl-C ends it)")
    serve(app, socket)


def _folder_app(folder: Path, hosts: Sequence[str]) -> "tuple[Starlette, str]":
    from sqsam_deploy.demo.server import build_folder_app

    return build_folder_app(folder, hosts), f"{folder} in the browser"


def _studio_app(
    artifact: Path | None, saliency: Path | None, threads: int | None, hosts: Sequence[str]
) -> "tuple[Starlette, str]":
    from sqsam_deploy.checkpoint import bundled_checkpoint
    from sqsam_deploy.demo.server import build_app
    from sqsam_deploy.demo.studio import Studio
    from sqsam_deploy.runtimes import open_session
    from sqsam_deploy.saliency import open_saliency

    session = open_session(artifact or bundled_checkpoint(), threads)
    studio = Studio(session, open_saliency(saliency, threads))
    about = session.metadata
    title = f"{about.preset} {about.precision} on {about.runtime}"
    return build_app(studio, title, hosts), title


def _write(directory: Path, artifact: Path | None, saliency: Path | None) -> None:
    from sqsam_deploy.demo.folder import find_models, write_page

    if artifact is None:
        raise UsageError("--static needs an ONNX artifact, or a directory with one")
    models = find_models(artifact, saliency)
    write_page(directory, models)
    names = [model.segmentation.name for model in models]
    answer({"directory": directory, "artifacts": names})
    say(f"{', '.join(names)} and the page are in {directory}: sqsam-demo {directory} serves them")


def _shown(host: str) -> str:
    if host in _EVERY_ADDRESS:
        return "localhost"
    return f"[{host}]" if ":" in host else host


def main() -> None:
    """Entry point of `sqsam-demo`."""
    run(app)
