"""`sqsam-predict`: cut an object out of a photo with any artifact or checkpoint."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sqsam_deploy.cli._app import run, show_version
from sqsam_deploy.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Box = tuple[float, float, float, float]


def predict(
    artifact: Annotated[
        Path, typer.Argument(help=".pte, .onnx, .mlpackage, or a checkpoint.", show_default=False)
    ],
    image: Annotated[Path, typer.Argument(help="The photo.", show_default=False)],
    click: Annotated[
        list[str] | None,
        typer.Option(help="x,y on the object, in pixels of the photo; may be repeated."),
    ] = None,
    background_click: Annotated[
        list[str] | None, typer.Option(help="x,y beside the object; may be repeated.")
    ] = None,
    box: Annotated[str | None, typer.Option(help="x0,y0,x1,y1 around the object.")] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, help="CPU threads; without it the runtime's default.")
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Directory for the pictures.")
    ] = Path(),
    version: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True)
    ] = False,
) -> None:
    """Cut the object that the clicks or the box point at out of a photo.

    Writes STEM-mask.png (0/255), STEM-cutout.png (transparent around the object) and
    STEM-overlay.png into the output directory. Without any prompt the network chooses.

    Exit codes: 0 written, 2 wrong usage, 3 something could not be read, run or written.
    """
    points = [(*_numbers("--click", text, 2), 1) for text in click or []]
    points += [(*_numbers("--background-click", text, 2), 0) for text in background_click or []]
    corners = None if box is None else _box(box)
    _cut_out(artifact, image, points, corners, threads, output)


def _cut_out(
    artifact: Path,
    image: Path,
    points: list[tuple[float, ...]],
    box: Box | None,
    threads: int | None,
    output: Path,
) -> None:
    import numpy as np

    from sqsam_deploy.datasets.images import read_image
    from sqsam_deploy.pictures import write_pictures
    from sqsam_deploy.predictor import Predictor
    from sqsam_deploy.runtimes import open_session

    pixels = read_image(image)
    table = np.array(points, np.float32).reshape(-1, 3)
    _check_inside(table, box, pixels)
    predictor = Predictor(open_session(artifact, threads))
    predictor.set_image(pixels)
    prediction = predictor.predict(
        table[:, :2], table[:, 2].astype(np.int64), box, multimask_output=False
    )
    mask = prediction.masks[0]
    paths = write_pictures(output, image.stem, pixels, mask)
    typer.echo(f"predicted IoU {prediction.iou_predictions[0]:.3f}, mask {mask.mean():.1%} of it")
    for path in paths:
        typer.echo(str(path))


def _check_inside(
    points: "NDArray[np.float32]", box: Box | None, pixels: "NDArray[np.uint8]"
) -> None:
    """Typed coordinates outside the photo are a mistake, not a drag over its edge."""
    height, width = pixels.shape[:2]
    corners = [] if box is None else [(box[0], box[1]), (box[2], box[3])]
    for x, y in [*((x, y) for x, y, _ in points), *corners]:
        if not (0 <= x <= width and 0 <= y <= height):
            raise UsageError(f"({x:g}, {y:g}) is outside the photo of {width}x{height} pixels")


def _box(text: str) -> Box:
    x0, y0, x1, y1 = _numbers("--box", text, 4)
    if x0 >= x1 or y0 >= y1:
        raise UsageError(f"--box takes x0,y0,x1,y1 with x0 < x1 and y0 < y1, got '{text}'")
    return x0, y0, x1, y1


def _numbers(option: str, text: str, count: int) -> tuple[float, ...]:
    try:
        values = tuple(float(part) for part in text.split(","))
    except ValueError:
        values = ()
    if len(values) != count:
        raise UsageError(f"{option} takes {count} numbers joined by commas, got '{text}'")
    return values


def main() -> None:
    """Entry point of `sqsam-predict`."""
    run(predict)
