"""A network of the SAM family in the files it was exported to, told apart by their signatures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqsam_deploy.artifact.metadata import PrecisionName, RuntimeName
from sqsam_deploy.errors import ArtifactError, UsageError
from sqsam_deploy.peers.framing import Framing, Letterboxed, Padded, PaddedInside, Stretched
from sqsam_deploy.peers.graphs import Graph, Tensor, content_sha256, read_graph

#: Pixels of the image for one position of the embedding, in every published network of the family.
_PATCH = 16
#: YOLO's mask coefficients.
_COEFFICIENTS = 32
_EFFICIENT_SAM_POINTS = 6

_SYNTAX = "NAME=ENCODER.onnx+DECODER.onnx, or NAME=FILE.onnx"


@dataclass(frozen=True)
class Decoder:
    """The names and shapes of a decoder's inputs and outputs.

    Attributes:
        embeddings: Input for the encoder's output; for the photo where there is no encoder.
        coords: Input for the points' coordinates.
        labels: Input for their labels.
        batched: Whether points have an axis for queries behind the batch (EfficientSAM).
        points: Number of points where it is fixed; missing ones are padded with label -1.
        most_points: The most points that it looks at, or None for any number.
        constants: Shape and element type of the inputs that stay zero: no earlier mask.
        size_dtype: Element type of `orig_im_size`, or None where it is no input.
        masks: Output with logits at the photo's size, where there is no smaller one.
        low_res_masks: Output with logits at the decoder's resolution, or None.
        scores: Output with the predicted IoUs.
    """

    embeddings: str
    coords: str
    labels: str
    batched: bool
    points: int | None
    most_points: int | None
    constants: tuple[Tensor, ...]
    size_dtype: str | None
    masks: str | None
    low_res_masks: str | None
    scores: str


@dataclass(frozen=True)
class Instances:
    """The names of the two outputs of a network that finds all instances at once (YOLO-seg).

    Attributes:
        detections: 1x(4+classes+32)xN: center, size, class scores, mask coefficients.
        prototypes: 1x32xsxs, whose weighted sums are the masks.
    """

    detections: str
    prototypes: str


@dataclass(frozen=True)
class Peer:
    """A network in its files. Described like an artifact where evaluation compares several.

    Attributes:
        preset: What the user calls the network; files of one network are compared.
        files: Encoder and decoder, or one file that holds both.
        precision: Of the most quantized of them.
        weights_sha256: Of all files.
        image_input: Name of the input that takes the photo.
        framing: How it takes it.
        decoder: Of a promptable network; the prompt chooses among `Instances` otherwise.
    """

    preset: str
    files: tuple[Path, ...]
    precision: PrecisionName
    weights_sha256: str
    image_input: str
    framing: Framing | Letterboxed
    decoder: Decoder | Instances
    runtime: RuntimeName = "onnx"

    @property
    def name(self) -> str:
        """Its key in results: "MobileSAM int8"."""
        return f"{self.preset} {self.precision}"


def parse_peer(text: str) -> tuple[str, tuple[Path, ...]]:
    """The name and files of `NAME=ENCODER.onnx+DECODER.onnx`.

    Raises:
        UsageError: It is not written so.
    """
    name, separator, files = text.partition("=")
    paths = tuple(Path(part.strip()) for part in files.split("+"))
    if not (name.strip() and separator) or len(paths) > 2 or any(p == Path() for p in paths):
        raise UsageError(f"--peer takes {_SYNTAX}, got '{text}'")
    return name.strip(), paths


def read_peer(name: str, files: Sequence[Path]) -> Peer:
    """Recognizes a network by the signatures of its files.

    Args:
        name: What it is called.
        files: Encoder and decoder in this order, or one file.

    Raises:
        ArtifactError: A file is missing, no ONNX file, or of no form that is read.
    """
    graphs = [read_graph(path) for path in files]
    form = _pair(*graphs) if len(graphs) == 2 else _single(graphs[0])
    precisions = [graph.precision for graph in graphs]
    least = next((p for p in ("int8", "fp16") if p in precisions), "fp32")
    return Peer(name, tuple(files), least, content_sha256(files), *form)


def _pair(encoder: Graph, decoder: Graph) -> tuple[str, Framing, Decoder]:
    found = read_decoder(decoder)
    if found is None:
        raise _unknown(decoder, "a decoder (it has no embeddings, point coordinates and labels)")
    return *_image_input(encoder, decoder.inputs[found.embeddings]), found


def _single(graph: Graph) -> tuple[str, Framing | Letterboxed, Decoder | Instances]:
    decoder = read_decoder(graph)
    if decoder is not None and _is_photo(graph.inputs[decoder.embeddings]):
        return decoder.embeddings, Stretched(), decoder
    instances = _read_instances(graph)
    if instances is not None:
        (image,) = graph.inputs.values()
        return image.name, Letterboxed(image.shape[2] or 1024), instances
    raise _unknown(graph, "a whole network; an encoder needs its decoder, joined by +")


def encoder_input(encoder: Graph) -> Tensor | None:
    """The input of a graph that takes nothing but a photo; None for any other graph."""
    if len(encoder.inputs) != 1:
        return None
    (image,) = encoder.inputs.values()
    planes = len(image.shape) == 4 and image.shape[1] == 3
    pixels = len(image.shape) == 3 and image.shape[2] == 3
    return image if image.dtype == "float32" and (planes or pixels) else None


def _image_input(encoder: Graph, embeddings: Tensor) -> tuple[str, Framing]:
    image = encoder_input(encoder)
    if image is None:
        raise _unknown(encoder, "an image encoder")
    if len(image.shape) == 3:
        return image.name, PaddedInside(_embedded_size(embeddings))
    height, width = image.shape[2:]
    if height is None and width is None:
        return image.name, Stretched()
    if height is None or height != width:
        raise _unknown(encoder, "an encoder of square images")
    return image.name, Padded(height)


def _embedded_size(embeddings: Tensor) -> int:
    side = embeddings.shape[-1] if len(embeddings.shape) == 4 else None
    return _PATCH * (side or 64)


def read_decoder(graph: Graph) -> Decoder | None:
    """The decoder of a graph, by its names and shapes; None where it is none."""
    coords = _containing(graph.inputs, "point_coords")
    labels = _containing(graph.inputs, "point_labels")
    image = next(
        (t for t in graph.inputs.values() if len(t.shape) == 4 and not _is_prompt(t)), None
    )
    scores = _containing(graph.outputs, "iou_predictions") or _containing(graph.outputs, "scores")
    if coords is None or labels is None or image is None or scores is None:
        return None
    size = graph.inputs.get("orig_im_size")
    masks, low_res = _mask_outputs(graph, size is not None or _is_photo(image))
    if masks is None and low_res is None:
        return None
    batched = len(coords.shape) == 4
    points = coords.shape[-2]
    return Decoder(
        embeddings=image.name,
        coords=coords.name,
        labels=labels.name,
        batched=batched,
        points=points,
        most_points=_EFFICIENT_SAM_POINTS if batched and points is None else points,
        constants=tuple(t for t in graph.inputs.values() if "mask_input" in t.name),
        size_dtype=None if size is None else size.dtype,
        masks=masks,
        low_res_masks=low_res,
        scores=scores.name,
    )


def _is_photo(image: Tensor) -> bool:
    return image.shape[1] == 3


def _is_prompt(tensor: Tensor) -> bool:
    return "point" in tensor.name or "mask" in tensor.name


def _mask_outputs(graph: Graph, knows_size: bool) -> tuple[str | None, str | None]:
    """The output with logits at the photo's size, and that at the decoder's own; one of the two.

    The small one is taken where there is one: decoders that were exported with version 1.0 of
    segment_anything cut the padding off as it was for one photo of 1500 x 2250 pixels, whatever
    `orig_im_size` says. Without `orig_im_size`, `masks` are small too (EdgeSAM).
    """
    # Exported with more metrics than names, SAM's third name stands for one number a mask.
    planes = [t for t in graph.outputs.values() if len(t.shape) >= 4 or not t.shape]
    named = [tensor.name for tensor in planes if "mask" in tensor.name]
    small = next((name for name in named if "low_res" in name), None)
    if small is None and named:
        return (named[0], None) if knows_size else (None, named[0])
    return None, small


def _containing(tensors: Mapping[str, Tensor], word: str) -> Tensor | None:
    return next((tensor for name, tensor in tensors.items() if word in name), None)


def _read_instances(graph: Graph) -> Instances | None:
    """YOLO's two outputs, by their shapes."""
    image = encoder_input(graph)
    if image is None or len(graph.outputs) != 2 or len(image.shape) != 4:
        return None
    detections, prototypes = sorted(graph.outputs.values(), key=lambda tensor: len(tensor.shape))
    if (len(detections.shape), len(prototypes.shape)) != (3, 4):
        return None
    if prototypes.shape[1] not in (None, _COEFFICIENTS):
        return None
    channels, count = detections.shape[1:]
    if channels is None or (count is not None and channels > count):
        return None  # Exported with non-maximum suppression: one row a detection.
    return Instances(detections.name, prototypes.name)


def _unknown(graph: Graph, what: str) -> ArtifactError:
    inputs = ", ".join(f"{t.name} {list(t.shape)}" for t in graph.inputs.values())
    outputs = ", ".join(graph.outputs)
    return ArtifactError(
        f"{graph.path} is not {what}: its inputs are {inputs}, its outputs {outputs}; "
        "docs/peers.md lists the forms that are read"
    )
