"""ONNX Runtime on the CPU."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from sqsam_deploy.artifact.metadata import ArtifactMetadata
from sqsam_deploy.errors import ArtifactError, first_line
from sqsam_deploy.runtimes.onnx.model_file import metadata_of, read_model
from sqsam_deploy.runtimes.onnx.processor import this_one_saturates
from sqsam_deploy.runtimes.session import Session

if TYPE_CHECKING:
    import onnxruntime


class OnnxSession(Session):
    """A loaded .onnx file."""

    def __init__(self, metadata: ArtifactMetadata, session: "onnxruntime.InferenceSession") -> None:
        self.metadata = metadata
        self._session = session
        self._outputs = [spec.name for spec in metadata.outputs]

    @override
    def execute(
        self, feeds: Mapping[str, NDArray[np.generic]]
    ) -> Mapping[str, NDArray[np.generic]]:
        values = self._session.run(self._outputs, dict(feeds))
        return dict(zip(self._outputs, values, strict=True))


def open_session(path: Path, threads: int | None = None) -> OnnxSession:
    """Loads a file.

    Args:
        path: Written by `lower`.
        threads: CPU threads of one inference; None leaves ONNX Runtime's default.

    Raises:
        ArtifactError: The file is missing, damaged or was not written by this tool.
    """
    import onnxruntime

    model = read_model(path)
    metadata = metadata_of(model, path)
    try:
        session = onnxruntime.InferenceSession(
            model.SerializeToString(), session_options(threads), providers=["CPUExecutionProvider"]
        )
    # ONNX Runtime raises a dozen classes of its own that share no base but Exception.
    except Exception as error:
        reason = first_line(error)
        raise ArtifactError(f"{path} cannot be loaded by ONNX Runtime: {reason}") from None
    return OnnxSession(metadata, session)


def session_options(threads: int | None) -> "onnxruntime.SessionOptions":
    """How ONNX Runtime runs a file; None leaves its default number of threads."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # int8 results depend on the level: without fusions up to 18% of the pixels move by a step.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    # Exact kernels; where the usual ones are exact already, these take 3.5 times as long.
    options.add_session_config_entry("session.x64quantprecision", str(int(this_one_saturates())))
    options.log_severity_level = 3
    if threads is not None:
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
    return options
