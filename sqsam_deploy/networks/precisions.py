"""Precisions: what an artifact's arithmetic is, and how its program is made.

A new one is an entry here, and a line in the `layouts` of each runtime that offers it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqsam_deploy.artifact.metadata import PrecisionName
from sqsam_deploy.errors import UsageError

if TYPE_CHECKING:
    from torch.export import ExportedProgram

    from sqsam_deploy.networks.base import FoldedNetwork
    from sqsam_deploy.quantization import QuantizedModel, Samples


@dataclass(frozen=True)
class Program:
    """A program, and its quantization where it has one.

    Attributes:
        exported: What runtimes lower.
        quantized: The same with a report on every layer; None of a float program.
    """

    exported: "ExportedProgram"
    quantized: "QuantizedModel | None" = None


#: Makes a program of a folded network. The samples are asked for only where ranges are measured;
#: the patterns name modules that stay in float.
MakeProgram = Callable[["FoldedNetwork", Callable[[], "Samples"], tuple[str, ...]], Program]


@dataclass(frozen=True)
class Precision:
    """One precision.

    Attributes:
        name: Its key in metadata and recipes, and what file names say.
        weight_bytes: What one weight costs in a file, palettes or scales included.
        limit: Mean IoU with the float network's masks that an artifact must reach.
        make: Makes the program that artifacts are lowered from.
        shares: Name of the precision whose program it is lowered from; None for one of its own.
            Who asks for that one gets this one too.
        is_quantized: Whether modules can be kept in float.
    """

    name: PrecisionName
    weight_bytes: float
    limit: float
    make: MakeProgram
    shares: PrecisionName | None = None
    is_quantized: bool = False

    @property
    def program(self) -> PrecisionName:
        """Name of the precision whose program artifacts are lowered from."""
        return self.shares or self.name


def _fp32(
    folded: "FoldedNetwork", samples: "Callable[[], Samples]", keep_float: tuple[str, ...]
) -> Program:
    from sqsam_deploy.quantization import trace_network

    return Program(trace_network(folded.module, folded.example))


def _fp16(
    folded: "FoldedNetwork", samples: "Callable[[], Samples]", keep_float: tuple[str, ...]
) -> Program:
    from sqsam_deploy.quantization import trace_network

    return Program(trace_network(folded.half_precision(), folded.example))


def _int8(
    folded: "FoldedNetwork", samples: "Callable[[], Samples]", keep_float: tuple[str, ...]
) -> Program:
    from sqsam_deploy.quantization import QuantizationScheme, quantize_program, trace_network

    quantized = quantize_program(
        trace_network(folded.module, folded.example),
        samples(),
        QuantizationScheme(keep_float=keep_float),
    )
    return Program(quantized.program, quantized)


def _palettized(bits: int) -> MakeProgram:
    def make(
        folded: "FoldedNetwork", samples: "Callable[[], Samples]", keep_float: tuple[str, ...]
    ) -> Program:
        from sqsam_deploy.quantization import PaletteScheme, palettize, trace_network

        module = palettize(folded.module, samples(), PaletteScheme(bits, keep_float))
        return Program(trace_network(module, folded.example))

    return make


#: Every precision by name. `int8` is W8A8; the others with few bits keep activations in half
#: precision: `int8-weights` takes the weights and scales of the int8 program alone, palettized
#: weights are a float program's that has few different ones.
PRECISIONS = {
    precision.name: precision
    for precision in (
        Precision("fp32", 4, 0.999, _fp32),
        Precision("fp16", 2, 0.99, _fp16),
        Precision("int8", 1, 0.90, _int8, is_quantized=True),
        Precision("int8-weights", 1, 0.90, _int8, shares="int8", is_quantized=True),
        Precision("palettized-6bit", 0.7, 0.90, _palettized(6), is_quantized=True),
        Precision("palettized-4bit", 0.53, 0.90, _palettized(4), is_quantized=True),
    )
}


def find_precision(name: str) -> Precision:
    """A precision by its name.

    Raises:
        UsageError: There is none of that name.
    """
    if name not in PRECISIONS:
        raise UsageError(f"unknown precision '{name}': choose from {', '.join(PRECISIONS)}")
    return PRECISIONS[name]
