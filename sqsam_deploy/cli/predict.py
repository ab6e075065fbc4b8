"""`sqsam-predict`: cut an object out of a photo with any artifact or checkpoint."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sqsam_deploy.cli._app import run, show_version
from sqsam_deploy.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from sqsam_deploy.predictor import Predictor
    from sqsam_deploy.prompts import Prompt

Box = tuple[float, float, float, float]


def predict(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="[ARTIFACT] IMAGE",
            help=".pte, .onnx, .mlpackage or a checkpoint (a file, or paper or nano, the bundled "
            "ones; without it paper), and the photo.",
            show_default=False,
        ),
    ],
    auto: Annotated[
        bool, typer.Option("--auto", help="Saliency picks the clicks: no other prompt is needed.")
    ] = False,
    saliency: Annotated[
        Path | None,
        typer.Option(
            help="Network for --auto: a saliency artifact, or any ONNX file such as U2-Net's "
            "(declared in a .json beside it); without it the bundled one."
        ),
    ] = None,
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
    """Cut an object out of a photo: the one pointed at, or with --auto the most salient one.

    Writes STEM-mask.png (0/255), STEM-cutout.png (transparent around the object) and
    STEM-overlay.png into the output directory. With --auto, clicks are added to those that
    saliency picked. Without --auto and any prompt the network chooses.

    Exit codes: 0 written, 2 wrong usage, 3 something could not be read, run or written.
    """
    artifact, image = _artifact_and_image(paths)
    if saliency is not None and not auto:
        raise UsageError("--saliency names the network of --auto, which is not given")
    if auto and box is not None:
        raise UsageError("--auto and --box exclude each other: the box already says which object")
    points = [(*_numbers("--click", text, 2), 1) for text in click or []]
    points += [(*_numbers("--background-click", text, 2), 0) for text in background_click or []]
    corners = None if box is None else _box(box)
    pixels = _read_photo(image, points, corners)
    predictor = _predictor(artifact, saliency, threads)
    predictor.set_image(pixels)
    prompt = predictor.auto_prompt() if auto else _prompt(corners)
    for x, y, label in points:
        prompt = prompt.with_click(x, y, int(label))
    _cut_out(predictor, prompt, image.stem, pixels, output)


def _artifact_and_image(paths: list[Path]) -> tuple[Path | None, Path]:
    if len(paths) > 2:
        raise UsageError(f"one artifact and one photo are taken, got {len(paths)} paths")
    return (None, paths[0]) if len(paths) == 1 else (paths[0], paths[1])


def _read_photo(
    image: Path, points: list[tuple[float, ...]], box: Box | None
) -> "NDArray[np.uint8]":
    from sqsam_deploy.datasets.images import read_image

    pixels = read_image(image)
    _check_inside(points, box, pixels)
    return pixels


def _predictor(artifact: Path | None, saliency: Path | None, threads: int | None) -> "Predictor":
    from sqsam_deploy.checkpoint import bundled_checkpoint
    from sqsam_deploy.predictor import Predictor
    from sqsam_deploy.runtimes import open_session
    from sqsam_deploy.saliency import open_saliency

    session = open_session(artifact or bundled_checkpoint(), threads)
    return Predictor(session, open_saliency(saliency, threads) if saliency else None)


def _prompt(box: Box | None) -> "Prompt":
    from sqsam_deploy.prompts import Prompt

    return Prompt(box=box)


def _cut_out(
    predictor: "Predictor", prompt: "Prompt", stem: str, pixels: "NDArray[np.uint8]", output: Path
) -> None:
    from sqsam_deploy.pictures import write_pictures

    prediction = predictor.predict_prompt(prompt, multimask_output=False)
    mask = prediction.masks[0]
    paths = write_pictures(output, stem, pixels, mask)
    typer.echo(
        f"predicted IoU {prediction.iou_predictions[0]:.3f}, mask {mask.mean():.1%} of the photo"
    )
    for path in paths:
        typer.echo(str(path))


def _check_inside(
    points: list[tuple[float, ...]], box: Box | None, pixels: "NDArray[np.uint8]"
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
