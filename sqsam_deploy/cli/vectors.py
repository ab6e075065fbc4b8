"""`sqsam-vectors`: test vectors for the app libraries."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from sqsam_deploy._internal.terminal import say
from sqsam_deploy.cli._app import make_app, run
from sqsam_deploy.cli._output import answer

app = make_app("sqsam-vectors", "[OPTIONS] DIR [ARTIFACT...]")


@app.default
def vectors(
    directory: Annotated[Path, Parameter(metavar="DIR")],
    artifacts: Annotated[tuple[Path, ...], Parameter(metavar="ARTIFACT")] = (),
    /,
) -> None:
    """Write test vectors: inputs and right answers of every step around the network, as JSON.

    An app library in any language reads them and must give the same answers; docs/vectors.md
    describes the files. For each artifact a whole run is added, from photo and prompt to mask.

    Exit codes: 0 written, 2 wrong usage, 3 something could not be read, run or written.

    Args:
        directory: Directory for the files.
        artifacts: Segmentation artifacts of any runtime.
    """
    from sqsam_deploy.runtimes import open_session
    from sqsam_deploy.vectors import write_vectors

    files = write_vectors(directory, (open_session(path) for path in artifacts))
    for file in files:
        say(str(file))
    answer({"files": files})


def main() -> None:
    """Entry point of `sqsam-vectors`."""
    run(app)
