"""A network as an export sees it: everything that differs from one kind to the other."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sqsam_deploy.artifact.manifest import Agreement, CalibrationEntry, WeightsEntry
from sqsam_deploy.artifact.metadata import (
    ArtifactMetadata,
    DeploymentTarget,
    InputLayout,
    PrecisionName,
    RuntimeName,
    arrange_inputs,
)
from sqsam_deploy.datasets import Dataset, ImageRecord
from sqsam_deploy.folding import FoldStep
from sqsam_deploy.runtimes.session import Session

if TYPE_CHECKING:
    from torch import Tensor, nn

    from sqsam_deploy.quantization import Samples

Logits = NDArray[np.float16]


@dataclass(frozen=True)
class FoldedNetwork:
    """A network as programs are made from it: without norms and pixel arithmetic.

    Attributes:
        module: In eval mode; takes the inputs that `describe` lists as float planes, batch 1.
        half_precision: Makes a copy with half-precision arithmetic between float32 inputs and
            outputs.
        example: Inputs for tracing.
        steps: What was folded into what.
    """

    module: "nn.Module"
    half_precision: "Callable[[], nn.Module]"
    example: "tuple[Tensor, ...]"
    steps: tuple[FoldStep, ...]


@dataclass(frozen=True)
class Calibration:
    """The samples that int8 ranges are measured on.

    Attributes:
        samples: Inputs of the folded network.
        entry: What the manifest says of them; None where it says nothing.
    """

    samples: "Samples"
    entry: CalibrationEntry | None = None


@dataclass(frozen=True)
class Measured:
    """An artifact beside the float network.

    Attributes:
        agreement: In numbers.
        answers: What a report shows of it, in the order of the inputs; may be empty.
    """

    agreement: Agreement
    answers: list[Logits] = field(default_factory=list)


class Comparison(ABC):
    """Real inputs, and the float network's answers to them."""

    #: What the mean IoU of an agreement is taken over, for messages.
    measure_of: str

    @abstractmethod
    def measure(self, session: Session, *, limit: float, executor: str) -> Measured:
        """Runs an artifact on every input.

        Args:
            session: The artifact, loaded from disk.
            limit: The mean IoU it has to reach, for the record.
            executor: What runs it, for the record.

        Raises:
            ArtifactError: It fails or returns something that is not finite.
        """


class Network(ABC):
    """A network with trained weights.

    Attributes:
        name: Of its configuration; what the names of its artifacts begin with.
        weights: What the manifest says of the checkpoint.
        weight_count: Trained numbers; norms fold away and count for nothing in an artifact.
    """

    name: str
    weights: WeightsEntry
    weight_count: int

    @abstractmethod
    def fold(self) -> FoldedNetwork:
        """The same function without norms and pixel arithmetic."""

    @abstractmethod
    def calibration(self, photos: Dataset, seed: int) -> Calibration:
        """Inputs to measure int8 ranges on, the same ones for the same photos and seed.

        Raises:
            DataError: A photo cannot be read.
        """

    @abstractmethod
    def comparison(self, photos: Sequence[ImageRecord]) -> Comparison:
        """Runs the float network on photos, so that artifacts can be compared with it.

        Raises:
            DataError: A photo cannot be read.
        """

    @abstractmethod
    def declare(
        self, runtime: RuntimeName, precision: PrecisionName, target: DeploymentTarget | None
    ) -> ArtifactMetadata:
        """The metadata of an artifact of this network that takes its pixels as float planes."""

    def describe(
        self,
        *,
        runtime: RuntimeName,
        precision: PrecisionName,
        layout: InputLayout,
        deployment_target: DeploymentTarget | None,
    ) -> ArtifactMetadata:
        """The metadata of an artifact of this network."""
        planes = self.declare(runtime, precision, deployment_target)
        return planes.model_copy(update={"inputs": arrange_inputs(planes.inputs, layout)})
