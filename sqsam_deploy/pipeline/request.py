"""The request of an export, whose fields are the options of `sqsam-export`."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from sqsam_deploy._internal.requests import NO_OPTION, POSITIVE, convert_paths

if TYPE_CHECKING:
    from sqsam_deploy.artifact.metadata import PrecisionName
    from sqsam_deploy.pipeline.targets import Target
else:
    # A command line that only shows its help must not load what stands behind a target.
    Target = object


@dataclass(frozen=True)
class ExportRequest:
    """Which artifacts to build, from which weights, and where to put them.

    Attributes:
        targets: Artifacts to build. Empty for those that the recipe, or runtime and precisions,
            stand for.
        output: Directory to create or to replace.
        checkpoint: Weights: bundled ones by name (paper or nano), or a .safetensors or .pt file.
        calibration: Folder of photos, with or without masks, or COCO file, on which the ranges of
            int8 are measured. Without it, the bundled photos.
        calibration_size: Number of calibration images to use. Without it, all of them.
        seed: Seed of the calibration prompts and of the choice of images.
        with_saliency: Whether the bundled saliency network is built too, for the same targets.
        recipe: Build what a recipe lists: a name (--list-recipes shows them), or a .toml file of
            your own.
        int8: Build int8 artifacts, quantized after training. This is the default.
        fp16: Build half-precision artifacts.
        fp32: Build single-precision artifacts.
        every: Build artifacts of all precisions.
        precision: Precision to build, by its name (--list-runtimes shows each runtime's): those of
            other packages too, which have no option of their own. May be given several times.
        runtime: Runtime to build for, by its name (--list-runtimes shows them). May be given
            several times. Without it, the default ones: executorch, coreml and onnx.
        sensitivity: Measure for each int8 layer what it costs in mIoU, and what float would gain;
            the report and quantization.json show it. It takes minutes.
        max_drift: Keep as little in float as holds the loss of mIoU by int8, the upper bound of
            its 95% interval, within so many points. It measures the sensitivity, too.
        dataset: Photos with masks on which the cost of int8 is measured: a folder, or a COCO or
            LVIS file. Without it, the calibration photos.
    """

    targets: Annotated[tuple[Target, ...], NO_OPTION] = ()
    output: Annotated[Path, Parameter(alias="-o", metavar="DIR")] = Path("artifacts")
    checkpoint: Annotated[Path | str, Parameter(metavar="NAME|FILE")] = "paper"
    calibration: Path | None = None
    calibration_size: Annotated[int | None, POSITIVE] = None
    seed: int = 0
    with_saliency: Annotated[
        bool,
        Parameter(
            name="",
            negative="--no-saliency",
            help="Leave out the saliency network, which picks the clicks for --auto.",
        ),
    ] = True
    recipe: Annotated[str | None, Parameter(metavar="NAME|FILE")] = None
    int8: bool = False
    fp16: bool = False
    fp32: bool = False
    every: Annotated[bool, Parameter(name="--all")] = False
    precision: Annotated[tuple[str, ...], Parameter(metavar="NAME")] = ()
    runtime: Annotated[tuple[str, ...], Parameter(metavar="NAME")] = ()
    sensitivity: bool = False
    max_drift: Annotated[float | None, Parameter(metavar="POINTS")] = None
    dataset: Path | None = None

    def __post_init__(self) -> None:
        """Takes paths as text too."""
        convert_paths(self)

    def resolved(self) -> "ExportRequest":
        """The same request with its targets listed.

        Raises:
            UsageError: A recipe or runtime does not exist, or nothing is left to build.
        """
        if self.targets:
            return self
        if self.recipe is None:
            return replace(self, targets=self._named_targets())
        from sqsam_deploy.recipes import find_recipe

        found = find_recipe(self.recipe)
        return replace(
            self, targets=found.targets, with_saliency=found.with_saliency, recipe=found.name
        )

    def _named_targets(self) -> "tuple[Target, ...]":
        from sqsam_deploy.networks.precisions import PRECISIONS, find_precision
        from sqsam_deploy.pipeline.targets import default_runtimes, parse_runtimes, targets_for

        flags: dict[PrecisionName, bool] = {"fp32": self.fp32, "fp16": self.fp16, "int8": self.int8}
        # The package that brings a runtime may bring a precision, too.
        runtimes = parse_runtimes(self.runtime) or default_runtimes()
        flagged = [name for name in PRECISIONS if self.every or flags.get(name)]
        named = [find_precision(name).name for name in self.precision]
        return targets_for(runtimes, [*flagged, *named] or ["int8"])
