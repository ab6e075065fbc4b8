"""From the exported program to a .tflite file."""

import contextlib
import io
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch.export import ExportedProgram

from sqsam_deploy._internal.atomic import atomic_write
from sqsam_deploy.artifact.metadata import ArtifactMetadata
from sqsam_deploy.runtimes.executorch.quiet import quiet_cpp
from sqsam_deploy.runtimes.litert.model_file import finished
from sqsam_deploy.runtimes.litert.passes import prepare


def lower(program: ExportedProgram, metadata: ArtifactMetadata, path: Path) -> None:
    """Writes a program as one .tflite file with its weights inside.

    Args:
        program: From `sqsam_deploy.quantization`.
        metadata: Names inputs and outputs, in the program's order; stored in the file.
        path: Where to write.
    """
    with _quiet():
        import litert_torch

        interleaved = any(spec.layout == "NHWC" for spec in metadata.inputs)
        module, example = prepare(program, interleaved=interleaved)
        names = [spec.name for spec in metadata.inputs]
        converted = litert_torch.convert(
            _Named(module, names, [spec.name for spec in metadata.outputs]).eval(),
            sample_kwargs=dict(zip(names, example, strict=True)),
            quant_config=_static() if metadata.precision == "int8" else None,
        )
        content = converted.model_content()
    atomic_write(path, finished(content, metadata))


class _Named(nn.Module):
    """A graph whose inputs and outputs have names, which become the file's."""

    def __init__(self, module: nn.Module, inputs: list[str], outputs: list[str]) -> None:
        super().__init__()
        self.module, self.inputs, self.outputs = module, inputs, outputs

    def forward(self, **values: Tensor) -> dict[str, Tensor]:
        """Outputs by name."""
        found = self.module(*(values[name] for name in self.inputs))
        found = found if isinstance(found, tuple | list) else (found,)
        return dict(zip(self.outputs, found, strict=True))


def _static() -> Any:
    """Tells the converter that the graph brings the scales of its activations."""
    from litert_torch.quantize.pt2e_quantizer import (
        PT2EQuantizer,
        get_symmetric_quantization_config,
    )
    from litert_torch.quantize.quant_config import QuantConfig

    scheme = get_symmetric_quantization_config(is_per_channel=True, is_dynamic=False)
    return QuantConfig(pt2e_quantizer=PT2EQuantizer().set_global(scheme))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keeps the converter's progress, notes and warnings off the terminal."""
    with quiet_cpp(), contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
