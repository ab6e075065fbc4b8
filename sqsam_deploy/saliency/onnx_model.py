"""Other people's saliency networks as ONNX files: U²-Net and its kind."""

from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from sqsam_deploy.artifact.documents import parse_json, validate_document
from sqsam_deploy.artifact.files import require_file
from sqsam_deploy.errors import ArtifactError, UsageError, first_line
from sqsam_deploy.model.config import PIXEL_MEAN, PIXEL_STD
from sqsam_deploy.prompts.image import check_image, stretch_filtered
from sqsam_deploy.prompts.saliency import saliency_of_logits, saliency_of_probabilities
from sqsam_deploy.runtimes.onnx.session import session_options

_DTYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16}


class OnnxSaliencyFormat(BaseModel):
    """Inputs and outputs of an ONNX saliency network; the defaults are U²-Net's.

    Attributes:
        input_size: (height, width); None where the file itself fixes it.
        mean: Subtracted from the pixels in [0, 1], RGB.
        std: What the difference is divided by.
        output: Name of the map; None is the first output (U²-Net's fused one).
        output_range: "probability" is 0 to 1, "logits" still need a sigmoid, "relative" is
            stretched so that its lowest value becomes 0 and its highest 1.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    input_size: tuple[int, int] | None = None
    mean: tuple[float, float, float] = PIXEL_MEAN
    std: tuple[float, float, float] = PIXEL_STD
    output: str | None = None
    output_range: Literal["probability", "logits", "relative"] = "relative"


def format_beside(path: Path) -> OnnxSaliencyFormat:
    """The format that `NAME.json` beside `NAME.onnx` declares; without one, U²-Net's.

    Raises:
        UsageError: The file is not such a declaration.
    """
    declared = path.with_suffix(".json")
    if not declared.is_file():
        return OnnxSaliencyFormat()
    content = parse_json(declared.read_bytes(), str(declared), UsageError)
    return validate_document(OnnxSaliencyFormat, content, str(declared), UsageError)


def embedded_metadata(path: Path) -> dict[str, str]:
    """The `metadata_props` of an ONNX file, whatever network it holds.

    Raises:
        ArtifactError: The file is missing or damaged.
    """
    return dict(_open(path, threads=None).get_modelmeta().custom_metadata_map)


class OnnxSaliency:
    """An ONNX saliency network."""

    def __init__(
        self, path: Path, stated: OnnxSaliencyFormat | None = None, threads: int | None = None
    ) -> None:
        """Opens the file.

        Args:
            path: The `.onnx` file.
            stated: What it takes and returns; None reads it beside the file (`format_beside`).
            threads: CPU threads; None is the runtime's default.

        Raises:
            ArtifactError: The file is missing, damaged or no network from an image to a map.
            UsageError: Its input size is not declared anywhere.
        """
        self._path, self._format = path, stated or format_beside(path)
        self._session = _open(path, threads)
        self._input = self._session.get_inputs()[0]
        self._output = self._output_name()
        self._size = self._input_size()

    def saliency_map(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Saliency of a photo; see `SaliencyModel`.

        Raises:
            DataError: The array is not HxWx3 uint8.
            ArtifactError: The network returns something that is no map.
        """
        check_image(image)
        pixels = stretch_filtered(image, self._size).astype(np.float32) / 255
        mean, std = (np.array(v, np.float32) for v in (self._format.mean, self._format.std))
        normalized = (pixels - mean) / std
        feed = normalized.transpose(2, 0, 1)[None].astype(_DTYPES[self._input.type])
        (answer,) = self._session.run([self._output], {self._input.name: feed})
        return self._scaled(self._as_map(answer))

    def _as_map(self, answer: NDArray[np.floating]) -> NDArray[np.float32]:
        shape = answer.shape
        if len(shape) < 2 or any(size != 1 for size in shape[:-2]):
            raise ArtifactError(f"{self._path}: output '{self._output}' is {shape}, not one map")
        values = answer.reshape(shape[-2:]).astype(np.float32)
        if not np.isfinite(values).all():
            raise ArtifactError(f"{self._path}: output '{self._output}' is not finite")
        return values

    def _scaled(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        if self._format.output_range == "logits":
            return saliency_of_logits(values)
        if self._format.output_range == "probability":
            return saliency_of_probabilities(values)
        lowest, highest = values.min(), values.max()
        return saliency_of_probabilities(
            (values - lowest) / max(highest - lowest, np.float32(1e-12))
        )

    def _output_name(self) -> str:
        names = [output.name for output in self._session.get_outputs()]
        wanted = self._format.output
        if wanted is not None and wanted not in names:
            raise UsageError(f"{self._path} has no output '{wanted}': it has {', '.join(names)}")
        return wanted or names[0]

    def _input_size(self) -> tuple[int, int]:
        shape, kind = self._input.shape, self._input.type
        if len(self._session.get_inputs()) != 1 or len(shape) != 4 or kind not in _DTYPES:
            raise ArtifactError(f"{self._path} is no saliency network: it must take one image")
        if shape[1] not in (3, None) and not isinstance(shape[1], str):
            raise ArtifactError(f"{self._path} takes {shape[1]} channels, not RGB first")
        size = self._format.input_size
        if size is not None:
            return size
        if isinstance(shape[2], int) and isinstance(shape[3], int):
            return shape[2], shape[3]
        raise UsageError(
            f"{self._path} takes images of any size: declare input_size in "
            f"{self._path.with_suffix('.json').name} beside it"
        )


def _open(path: Path, threads: int | None) -> Any:
    require_file(path)
    import onnxruntime

    try:
        return onnxruntime.InferenceSession(
            path, session_options(threads), ["CPUExecutionProvider"]
        )
    except Exception as error:
        # onnxruntime's exceptions have no common base class of their own.
        reason = first_line(error)
        if "INVALID_PROTOBUF" in reason:
            raise ArtifactError(
                f"{path} is damaged or no ONNX file: export it or download it again"
            ) from None
        raise ArtifactError(f"{path} cannot be loaded by onnxruntime: {reason}") from None
