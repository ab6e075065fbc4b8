"""LiteRT's interpreter on the CPU, with XNNPACK."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from sqsam_deploy.artifact.metadata import ArtifactMetadata
from sqsam_deploy.errors import ArtifactError, first_line
from sqsam_deploy.runtimes.base import Feeds
from sqsam_deploy.runtimes.executorch.quiet import quiet_cpp
from sqsam_deploy.runtimes.litert.model_file import metadata_of, read_model
from sqsam_deploy.runtimes.session import Session, random_array


class LiteRtNetwork:
    """A file of any network, opened without asking what it is for.

    Args:
        content: The file's bytes.
        path: Where they come from, for messages.
        threads: CPU threads; None leaves LiteRT's default.
    """

    def __init__(self, content: bytes, path: Path, threads: int | None) -> None:
        from ai_edge_litert.interpreter import Interpreter

        try:
            # The interpreter says on the terminal that it uses XNNPACK, which is its default.
            with quiet_cpp():
                self.interpreter = Interpreter(model_content=content, num_threads=threads)
                self.interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise ArtifactError(f"{path} cannot be loaded by LiteRT: {first_line(error)}") from None
        self.inputs = self.interpreter.get_input_details()
        self.outputs = self.interpreter.get_output_details()

    def random_inputs(self) -> list[NDArray[np.generic]]:
        """Random numbers of the declared shapes."""
        return [random_array(tuple(i["shape"].tolist()), np.dtype(i["dtype"])) for i in self.inputs]

    def run(self, feeds: Feeds) -> Sequence[Any]:
        """One inference."""
        for declared, value in zip(self.inputs, feeds, strict=True):
            self.interpreter.set_tensor(declared["index"], value)
        self.interpreter.invoke()
        return [self.interpreter.get_tensor(declared["index"]) for declared in self.outputs]


class LiteRtSession(Session):
    """A loaded .tflite file."""

    def __init__(self, metadata: ArtifactMetadata, network: LiteRtNetwork) -> None:
        self.metadata = metadata
        self._network = network

    @override
    def execute(
        self, feeds: Mapping[str, NDArray[np.generic]]
    ) -> Mapping[str, NDArray[np.generic]]:
        values = self._network.run([feeds[declared["name"]] for declared in self._network.inputs])
        names = [declared["name"] for declared in self._network.outputs]
        return dict(zip(names, values, strict=True))


def open_session(path: Path, threads: int | None = None) -> LiteRtSession:
    """Loads a file.

    Args:
        path: Written by `lower`.
        threads: CPU threads; None leaves LiteRT's default.

    Raises:
        ArtifactError: The file is missing, damaged or was not written by this tool.
    """
    metadata = metadata_of(read_model(path), path)
    network = LiteRtNetwork(path.read_bytes(), path, threads)
    _refuse_other_names(metadata, network, path)
    return LiteRtSession(metadata, network)


def _refuse_other_names(metadata: ArtifactMetadata, network: LiteRtNetwork, path: Path) -> None:
    declared = {spec.name for spec in (*metadata.inputs, *metadata.outputs)}
    found = {tensor["name"] for tensor in (*network.inputs, *network.outputs)}
    if declared != found:
        raise ArtifactError(
            f"{path} has the inputs and outputs {', '.join(sorted(found))} and its metadata say "
            f"{', '.join(sorted(declared))}: export it again"
        )
