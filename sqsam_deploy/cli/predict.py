"""`sqsam-predict`: cut an object out of a photo with any artifact or checkpoint."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from sqsam_deploy._internal.requests import POSITIVE
from sqsam_deploy._internal.staging import require_writable
from sqsam_deploy._internal.terminal import note, say
from sqsam_deploy.cli._app import make_app, run
from sqsam_deploy.cli._output import answer
from sqsam_deploy.errors import DataError, UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from sqsam_deploy.datasets.images import Photo
    from sqsam_deploy.predictor import Prediction, Predictor
    from sqsam_deploy.prompts import Prompt

Box = tuple[float, float, float, float]
_POINT = Parameter(metavar="X,Y", allow_leading_hyphen=True)


@dataclass(frozen=True)
class Cutout:
    """The object that was cut out of a photo.

    Attributes:
        photo: Where it was read.
        predicted_iou: What the network expects of the mask.
        mask_share: Share of the photo's pixels that the mask covers.
        files: The pictures.
    """

    photo: Path
    predicted_iou: float
    mask_share: float
    files: tuple[Path, ...]

    @property
    def sentence(self) -> str:
        """One line for people."""
        return f"predicted IoU {self.predicted_iou:.3f}, mask {self.mask_share:.1%} of the photo"


@dataclass(frozen=True)
class Failure:
    """A photo that could not be used, and why."""

    photo: Path
    reason: str


app = make_app("sqsam-predict", "[OPTIONS] [ARTIFACT] IMAGE|FOLDER")


@app.default
def predict(
    paths: Annotated[tuple[Path, ...], Parameter(metavar="[ARTIFACT] IMAGE|FOLDER")],
    /,
    *,
    auto: bool = False,
    saliency: Annotated[Path | None, Parameter(metavar="FILE")] = None,
    click: Annotated[tuple[str, ...], _POINT] = (),
    background_click: Annotated[tuple[str, ...], _POINT] = (),
    box: Annotated[str | None, Parameter(metavar="X0,Y0,X1,Y1", allow_leading_hyphen=True)] = None,
    threads: Annotated[int | None, POSITIVE] = None,
    output: Annotated[Path, Parameter(alias="-o", metavar="DIR")] = Path(),
) -> None:
    """Cut an object out of a photo: the one pointed at, or with --auto the most salient one.

    Writes STEM-mask.png (0 and 255), STEM-cutout.png (transparent around the object) and
    STEM-overlay.png into the output directory. With --auto, given clicks are added to those that
    saliency picked. Without --auto and without any prompt the network chooses. Of a folder every
    photo is taken, at any depth, and the output directory has the same folders.

    Exit codes: 0 written, 2 wrong usage, 3 something could not be read, run or written (of a
    folder: some photo; the others are written).

    Args:
        paths: Artifact (.pte, .onnx, .mlpackage or .tflite) or checkpoint (a file, or paper or
            nano, the bundled ones), and the photo or a folder of photos. Without the artifact,
            paper is used.
        auto: Let saliency pick the clicks: no other prompt is needed.
        saliency: Network for --auto: a saliency artifact, or any ONNX file such as U2-Net's
            (declared in a .json file beside it). Without it, the bundled network.
        click: Point on the object, in pixels of the photo. May be given several times.
        background_click: Point that does not belong to the object. May be given several times.
        box: Corners of a box around the object, in pixels of the photo.
        threads: Number of CPU threads. Without it, the runtime's default.
        output: Directory for the pictures.
    """
    artifact, image = _artifact_and_image(paths)
    if saliency is not None and not auto:
        raise UsageError("--saliency names the network of --auto, which is not given")
    if auto and box is not None:
        raise UsageError("--auto and --box exclude each other: the box already says which object")
    require_writable(output)
    points = [(*_numbers("--click", text, 2), 1) for text in click]
    points += [(*_numbers("--background-click", text, 2), 0) for text in background_click]
    corners = None if box is None else _box(box)
    if image.is_dir():
        if points or corners is not None:
            raise UsageError("--click, --background-click and --box belong to one photo: give none")
        photos = _photos(image, output)
        _cut_out_all(_predictor(artifact, saliency, threads), photos, image, output, auto=auto)
        return
    photo = _read_photo(image, points, corners)
    predictor = _predictor(artifact, saliency, threads)
    predictor.set_image(photo.pixels)
    if auto and not points:
        prediction = predictor.predict_auto(multimask_output=False)
    else:
        start = predictor.auto_prompt() if auto else _box_prompt(corners, photo.scale)
        prompt = _with_clicks(start, points, photo.scale)
        prediction = predictor.predict_prompt(prompt, multimask_output=False)
    cut = _cut_out(prediction, image, photo.pixels, output / image.stem)
    say(cut.sentence)
    for file in cut.files:
        say(str(file))
    answer({"cutouts": [cut], "failures": []})


def _photos(folder: Path, output: Path) -> list[Path]:
    """The photos of a folder, without what an earlier run wrote into it."""
    from sqsam_deploy.datasets.opening import photo_files

    if output.resolve() == folder.resolve():
        raise UsageError(f"the pictures would lie among the photos of {folder}: name another -o")
    photos = [p for p in photo_files(folder) if not p.resolve().is_relative_to(output.resolve())]
    if not photos:
        raise DataError(f"{folder} holds no photo")
    return photos


def _cut_out_all(
    predictor: "Predictor", photos: list[Path], folder: Path, output: Path, *, auto: bool
) -> None:
    """Cuts out one object of each photo; a photo that cannot be used does not cost the others."""
    from sqsam_deploy._internal.progress import shown_steps
    from sqsam_deploy.datasets.images import read_image

    # Photos that differ in their suffix alone keep it.
    stems = Counter(photo.with_suffix("") for photo in photos)
    cuts: list[Cutout] = []
    failures: list[Failure] = []
    with shown_steps(len(photos)) as steps:
        for photo in photos:
            name = photo.relative_to(folder)
            steps.begin(name.as_posix())
            stem = photo.stem if stems[photo.with_suffix("")] == 1 else photo.name
            try:
                pixels = read_image(photo)
                predictor.set_image(pixels)
                predict = predictor.predict_auto if auto else predictor.predict
                prediction = predict(multimask_output=False)
                cuts.append(_cut_out(prediction, photo, pixels, output / name.parent / stem))
            except DataError as error:
                failures.append(Failure(photo, str(error)))
                continue
            say(f"{name.as_posix()}: {cuts[-1].sentence}")
    answer({"cutouts": cuts, "failures": failures})
    if failures:
        others = f"; the others are in {output}" if cuts else ""
        raise DataError(
            f"{len(failures)} of {len(photos)} photos could not be used, the first: "
            f"{failures[0].reason}{others}"
        )
    say(f"{len(photos)} photos are in {output}")


def _artifact_and_image(paths: tuple[Path, ...]) -> tuple[Path | None, Path]:
    if len(paths) > 2:
        raise UsageError(f"one artifact and one photo are taken, got {len(paths)} paths")
    return (None, paths[0]) if len(paths) == 1 else (paths[0], paths[1])


def _read_photo(image: Path, points: list[tuple[float, ...]], box: Box | None) -> "Photo":
    from sqsam_deploy.datasets.images import read_photo

    photo = read_photo(image)
    _check_inside(points, box, (photo.height, photo.width))
    if photo.scale != (1, 1):
        height, width = photo.pixels.shape[:2]
        note(
            f"the photo of {photo.width}x{photo.height} pixels is read at {width}x{height}, "
            "the size of the pictures that are written; clicks and box are in its own pixels"
        )
    return photo


def _predictor(artifact: Path | None, saliency: Path | None, threads: int | None) -> "Predictor":
    from sqsam_deploy.checkpoint import bundled_checkpoint
    from sqsam_deploy.predictor import Predictor
    from sqsam_deploy.runtimes import open_session
    from sqsam_deploy.saliency import open_saliency

    session = open_session(artifact or bundled_checkpoint(), threads)
    return Predictor(session, open_saliency(saliency, threads) if saliency else None)


def _box_prompt(box: Box | None, scale: tuple[float, float]) -> "Prompt":
    """A box in pixels of the file, or nothing, as a prompt on the photo as it was read."""
    from sqsam_deploy.prompts import Prompt

    if box is None:
        return Prompt()
    (x0, y0, x1, y1), (across, down) = box, scale
    return Prompt(box=(x0 * across, y0 * down, x1 * across, y1 * down))


def _with_clicks(
    prompt: "Prompt", points: Sequence[tuple[float, ...]], scale: tuple[float, float]
) -> "Prompt":
    """Adds clicks (x, y, label) in pixels of the file."""
    for x, y, label in points:
        prompt = prompt.with_click(x * scale[0], y * scale[1], int(label))
    return prompt


def _cut_out(
    prediction: "Prediction", photo: Path, pixels: "NDArray[np.uint8]", target: Path
) -> Cutout:
    """Writes the pictures; `target` is their path up to the `-mask.png`."""
    from sqsam_deploy.pictures import write_pictures

    mask = prediction.masks[0]
    files = write_pictures(target.parent, target.name, pixels, mask)
    if not mask.any():
        note(f"the mask of {photo.name} is empty: nothing was found there")
    return Cutout(photo, float(prediction.iou_predictions[0]), float(mask.mean()), files)


def _check_inside(
    points: list[tuple[float, ...]], box: Box | None, image_hw: tuple[int, int]
) -> None:
    """Typed coordinates outside the photo are a mistake, not a drag over its edge."""
    import numpy as np

    from sqsam_deploy.prompts.validate import refuse_fractions

    height, width = image_hw
    refuse_fractions(np.array([point[:2] for point in points]), box, image_hw)
    named = [("--click" if label else "--background-click", x, y) for x, y, label in points]
    if box is not None:
        named += [("--box", box[0], box[1]), ("--box", box[2], box[3])]
    for option, x, y in named:
        if not (0 <= x <= width and 0 <= y <= height):
            raise UsageError(
                f"{option}: ({x:g}, {y:g}) is outside the photo of {width}x{height} pixels"
            )


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
    run(app)
