"""`sqsam-demo`: a local web page that cuts objects out of photos."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from sqsam_deploy._internal.requests import POSITIVE
from sqsam_deploy._internal.terminal import say
from sqsam_deploy.cli._app import loading, make_app, run
from sqsam_deploy.cli._output import answer

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
) -> None:
    """Serve a page that cuts the object out of a dropped photo and refines the result by clicks.

    Photos stay on this machine and in memory. Ctrl-C ends the server.

    Exit codes: 2 wrong usage, 3 something could not be read or served, 130 ended by Ctrl-C.

    Args:
        artifact: Artifact (.pte, .onnx or .mlpackage) or checkpoint (a file, or paper or nano, the
            bundled ones). Without it, paper.
        saliency: Network that picks the first clicks. Without it, the bundled one.
        host: Address to listen on. With 0.0.0.0, other devices can connect.
        port: Port to listen on; 0 takes any free one.
        threads: Number of CPU threads. Without it, the runtime's default.
    """
    with loading():
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
    url = f"http://{_shown(host)}:{socket.getsockname()[1]}/"
    answer({"url": url, "artifact": title})
    say(f"{title}: {url} (Ctrl-C ends it)")
    serve(build_app(studio, title, hosts), socket)


def _shown(host: str) -> str:
    if host in _EVERY_ADDRESS:
        return "localhost"
    return f"[{host}]" if ":" in host else host


def main() -> None:
    """Entry point of `sqsam-demo`."""
    run(app)
