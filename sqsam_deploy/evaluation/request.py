"""The request of an evaluation, whose fields are the options of `sqsam-parity`."""

from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from sqsam_deploy._internal.requests import NOT_NEGATIVE, POSITIVE, convert_paths
from sqsam_deploy._internal.workers import usable_cores
from sqsam_deploy.errors import UsageError

_MOST_CLICKS = 6


@dataclass(frozen=True)
class ParityRequest:
    """Which artifacts are evaluated, on which data, and when the gate passes.

    Attributes:
        directory: Directory with the artifacts. It can be left out where peers are named.
        dataset: COCO or LVIS file, or a folder of images and masks. Without it, the bundled
            sample of 281 objects. A COCO or LVIS file may be a URL, such as s3://bucket/file.json.
        images: Directory of the photos of a COCO or LVIS file, where they do not lie beside it; it
            may be a URL too.
        lvis: LVIS file whose masks are added, in place of the COCO masks that they overlap by
            over 80%.
        category: Category to evaluate, such as person. Without it, all objects are.
        single_object: Evaluate only images with a single object (of the category, if given).
        prompts: Kinds of prompts, joined by commas: box, 1-click, 2-clicks, up to 6-clicks; or
            none, where other options ask.
        jitter: Standard deviation of a click's error, in pixels.
        detections: COCO results file of a detector, whose boxes are used as prompts too. This
            also measures AP.
        saliency: Saliency to take clicks from too: a network (an artifact, an ONNX file, or
            saliency, the bundled one), or a folder of maps, one file STEM.png for each image.
        whole_objects: Also click on parts (the lower third of a person, a mask within a larger
            one), and compare with the whole object.
        clicking: Also simulate interactive clicking, and report NoC@80, NoC@85 and NoC@90.
        max_drift: Largest loss of mIoU that passes, in points: a number, or numbers by kind of
            prompt as in 0.5,1-click=2. Without it, 1, and 4 on the bundled sample.
        min_agreement: Lowest mean IoU between the masks of an artifact and those of the float
            artifact that passes. Without it, 0.95, and 0.9 on the bundled sample.
        baseline: File parity-objects.csv of an earlier run, or its directory. Artifacts must not
            be worse than they were there.
        score: Score each artifact by itself: nothing is compared, and nothing can fail.
        reference: Float artifact or checkpoint to compare with. Without it, the fp32 artifact of
            the directory, or else the weights that its manifest names by their SHA-256.
        peer: Another network to score with the same prompts, as its exporter wrote it:
            NAME=ENCODER.onnx+DECODER.onnx, or NAME=FILE.onnx. May be given several times; files
            of one name, such as a float and a quantized pair, are compared.
        only: Name of an artifact to evaluate beside the reference. May be given several times.
            Without it, all are.
        count: Number of images to evaluate, drawn with the seed. Without it, all images.
        seed: Seed of the drawn images, of the random clicks and of the bounds' random weights.
        until_decided: Take the images in an order drawn with the seed, and stop as soon as the
            gate is decided.
        cache: Directory that keeps the answers of float artifacts. A later run on the same data
            with the same prompts then runs the other artifacts alone.
        engine: Where images are evaluated: processes of this machine, or a Ray cluster. It does
            not change the result.
        address: Ray cluster, such as 10.0.0.1:6379. Without it, the one that RAY_ADDRESS names or
            that this machine belongs to, or else one for this run.
        jobs: Number of processes. It does not change the result. Without it, one for each
            processor core.
        threads: Number of CPU threads of each process.
        device: Device on which torch runs checkpoints: cpu, cuda or cuda:1.
        output: Directory of the report. Without it, the directory of the artifacts.
    """

    directory: Annotated[Path | None, Parameter(metavar="DIR")] = None
    _: KW_ONLY
    dataset: Path | None = None
    images: Annotated[Path | None, Parameter(metavar="DIR")] = None
    lvis: Annotated[Path | None, Parameter(metavar="FILE")] = None
    category: str | None = None
    single_object: bool = False
    prompts: Annotated[str, Parameter(metavar="KINDS")] = "box,1-click,3-clicks"
    jitter: Annotated[float, NOT_NEGATIVE] = 0.0
    detections: Annotated[Path | None, Parameter(metavar="FILE")] = None
    saliency: Annotated[Path | None, Parameter(metavar="FILE|DIR")] = None
    whole_objects: bool = False
    clicking: bool = False
    max_drift: Annotated[str | float | None, Parameter(metavar="POINTS")] = None
    min_agreement: Annotated[float | None, Parameter(validator=Number(gte=0, lt=1))] = None
    baseline: Path | None = None
    score: bool = False
    reference: Annotated[Path | None, Parameter(metavar="FILE")] = None
    peer: Annotated[tuple[str, ...], Parameter(metavar="NAME=FILE+FILE")] = ()
    only: Annotated[tuple[str, ...], Parameter(metavar="NAME")] = ()
    count: Annotated[int | None, POSITIVE] = None
    seed: int = 0
    until_decided: bool = False
    cache: Annotated[Path | None, Parameter(metavar="DIR")] = None
    engine: Literal["processes", "ray"] = "processes"
    address: Annotated[str | None, Parameter(metavar="HOST:PORT")] = None
    jobs: Annotated[int | None, POSITIVE] = None
    threads: Annotated[int, POSITIVE] = 1
    device: str = "cpu"
    output: Annotated[Path | None, Parameter(alias="-o", metavar="DIR")] = None

    def __post_init__(self) -> None:
        """Takes paths as text too, and refuses what is incomplete or contradicts itself."""
        convert_paths(self)
        if self.directory is None and not self.peer:
            raise UsageError("name a directory with artifacts, or networks with --peer")
        if self.directory is None and self.output is None:
            raise UsageError("without a directory of artifacts the report needs one: --output DIR")
        compared = ("reference", "baseline", "max_drift", "min_agreement")
        given = [name for name in compared if getattr(self, name) is not None]
        if self.score and given:
            option = given[0].replace("_", "-")
            raise UsageError(f"--score compares nothing: leave out --{option}, or --score")
        if self.until_decided:
            self._require_decidable()
        if self.address is not None and self.engine != "ray":
            raise UsageError("--address names a Ray cluster: add --engine ray, or leave it out")
        if self.detections is not None and (self.category or self.single_object):
            raise UsageError(
                "--detections measures AP over all objects: leave out --category and "
                "--single-object"
            )
        if not (self._kinds or self.detections or self.saliency or self.whole_objects):
            raise UsageError(
                "--prompts none leaves nothing to ask: add --detections, --saliency or "
                "--whole-objects"
            )
        for word in self._kinds:
            if word != "box" and _clicks(word) is None:
                raise UsageError(
                    f"--prompts: '{word}' is not box, 1-click, 2-clicks, ... {_MOST_CLICKS}-clicks"
                )

    def _require_decidable(self) -> None:
        """Refuses what needs the images that a decided gate leaves out."""
        reasons = {
            "score": "has no gate to decide",
            "baseline": "compares all images of the earlier run",
            "detections": "measures AP over all images",
        }
        for name, reason in reasons.items():
            if getattr(self, name):
                raise UsageError(f"--{name} {reason}: leave it out, or --until-decided")

    @property
    def _kinds(self) -> list[str]:
        words = [word.strip() for word in self.prompts.split(",")]
        return [] if words == ["none"] else words

    @property
    def report_directory(self) -> Path:
        """Where the report goes."""
        directory = self.output or self.directory
        assert directory is not None, "a request without either is refused"
        return directory

    @property
    def box(self) -> bool:
        """Whether ground-truth boxes are among the prompts."""
        return "box" in self._kinds

    @property
    def clicks(self) -> tuple[int, ...]:
        """Numbers of random clicks to prompt with, in ascending order."""
        return tuple(sorted({number for word in self._kinds if (number := _clicks(word))}))

    @property
    def processes(self) -> int:
        """Number of processes of this machine to evaluate with."""
        return self.jobs or usable_cores()


def _clicks(word: str) -> int | None:
    """The 3 of `3-clicks`; None for any other word."""
    number, _, unit = word.partition("-")
    if unit in ("click", "clicks") and number in map(str, range(1, _MOST_CLICKS + 1)):
        return int(number)
    return None
