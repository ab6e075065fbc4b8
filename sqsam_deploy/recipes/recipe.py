"""The content of a recipe."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from sqsam_deploy.artifact.metadata import DeploymentTarget, InputLayout
from sqsam_deploy.pipeline.targets import Target

#: Characters; `--list-recipes` shows it in a column.
LONGEST_SUMMARY = 100

_Pattern = Annotated[str, Field(min_length=1)]


@dataclass(frozen=True)
class Recipe:
    """A checked recipe.

    Attributes:
        name: The file's name without `.toml`.
        summary: One line on what it is for.
        targets: The artifacts, in the file's order.
        with_saliency: Whether the saliency network comes along, for the same targets.
    """

    name: str
    summary: str
    targets: tuple[Target, ...]
    with_saliency: bool


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class ArtifactTable(_Strict):
    """One `[[artifact]]`; every key that is left out is the runtime's best.

    Attributes:
        runtime: What runs the artifact.
        precision: Of its arithmetic.
        input_layout: How it takes the image.
        deployment_target: Lowest iOS that must load it (Core ML only).
        keep_float: Patterns of modules that int8 leaves in float.
        name: Takes the precision's place in the file name.
        options: Of the runtime itself, by name.
    """

    runtime: str
    precision: str
    input_layout: InputLayout | None = None
    deployment_target: DeploymentTarget | None = None
    # TOML arrays are lists, which a strict tuple would refuse.
    keep_float: Annotated[tuple[_Pattern, ...], Field(strict=False)] = ()
    name: str | None = None
    options: dict[str, str] = Field(default_factory=dict)

    def target(self) -> Target:
        """The artifact to build."""
        return Target(
            self.runtime,
            self.precision,
            self.input_layout,
            self.deployment_target,
            self.keep_float,
            self.name,
            tuple(sorted(self.options.items())),
        )


class RecipeFile(_Strict):
    """The whole file.

    Attributes:
        summary: One line on what the recipe is for.
        saliency: Whether the saliency network comes along.
        artifact: What to build.
    """

    summary: Annotated[str, Field(max_length=LONGEST_SUMMARY, pattern=r"^[^\n]+$")]
    saliency: bool = True
    artifact: Annotated[tuple[ArtifactTable, ...], Field(strict=False, min_length=1)]
