"""`sqsam-demo`: a local web page that cuts objects out of photos."""

from pathlib import Path
from typing import Annotated

import typer

from sqsam_deploy.cli._app import run, show_version

#: Under these names a browser on this machine addresses the server.
_LOCAL_NAMES = ("127.0.0.1", "localhost", "::1", "[::1]")
_EVERY_ADDRESS = ("0.0.0.0", "::")


def demo(
    artifact: Annotated[
        Path | None,
        typer.Argument(
            help=".pte, .onnx, .mlpackage or a checkpoint: a file, or paper or nano by name.",
            show_default="paper",
        ),
    ] = None,
    saliency: Annotated[
        Path | None,
        typer.Option(help="Network that picks the first clicks; without it the bundled one."),
    ] = None,
    host: Annotated[
        str, typer.Option(help="Address to listen on; 0.0.0.0 lets other devices in.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes any free one.")] = 8765,
    threads: Annotated[
        int | None, typer.Option(min=1, help="CPU threads; without it the runtime's default.")
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True)
    ] = False,
) -> None:
    """Serve a page where a dropped photo is cut out by itself and clicks refine the result.

    Photos stay on this machine and in memory. Ctrl-C ends the server.

    Exit codes: 0 ended, 2 wrong usage, 3 something could not be read or served.
    """
    _check_installed()
    from sqsam_deploy.checkpoint import bundled_checkpoint
    from sqsam_deploy.demo.server import build_app
    from sqsam_deploy.demo.serving import listen, serve
    from sqsam_deploy.demo.studio import Studio
    from sqsam_deploy.runtimes import open_session
    from sqsam_deploy.saliency import open_saliency

    session = open_session(artifact or bundled_checkpoint(), threads)
    studio = Studio(session, open_saliency(saliency, threads))
    about = session.metadata
    title = f"{about.preset} {about.precision} on {about.runtime}"
    # Whoever listens on every address is meant to be reached under names nobody can list.
    hosts = ("*",) if host in _EVERY_ADDRESS else (*_LOCAL_NAMES, host)
    socket = listen(host, port)
    typer.echo(f"{title}: http://{_shown(host)}:{socket.getsockname()[1]}/ (Ctrl-C ends it)")
    serve(build_app(studio, title, hosts), socket)


def _check_installed() -> None:
    from importlib.util import find_spec

    from sqsam_deploy.errors import MissingDependencyError

    for package in ("starlette", "uvicorn"):
        if find_spec(package) is None:
            raise MissingDependencyError(
                f"the web page needs {package}: pip install 'sqsam-deploy[demo]'"
            )


def _shown(host: str) -> str:
    if host in _EVERY_ADDRESS:
        return "localhost"
    return f"[{host}]" if ":" in host else host


def main() -> None:
    """Entry point of `sqsam-demo`."""
    run(demo)
