"""An encoder and a decoder that takes points: SAM, MobileSAM, EdgeSAM, NanoSAM, EfficientSAM."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sqsam_deploy.errors import ArtifactError
from sqsam_deploy.peers.framing import Framing, Letterboxed
from sqsam_deploy.peers.graphs import Graph, GraphRunner, Tensor
from sqsam_deploy.peers.peer import Decoder, Peer
from sqsam_deploy.prompts import Prompt, limit_clicks
from sqsam_deploy.prompts.encoding import (
    BOX_CORNER,
    BOX_OPPOSITE_CORNER,
    FOREGROUND,
    PADDING,
)
from sqsam_deploy.runtimes.session import RawPrediction, random_array

#: Masks of SAM's decoder where it returns all: the one for several prompts, and three for one.
_ALL_MASKS = 4


@dataclass(frozen=True)
class Photo:
    """A photo as an encoder takes it.

    Attributes:
        tensor: The encoder's input.
        image_hw: Height and width of the photo.
    """

    tensor: NDArray[np.float32]
    image_hw: tuple[int, int]


@dataclass(frozen=True)
class Points:
    """A prompt as a decoder takes it.

    Attributes:
        coords: Nx2 float32 in the decoder's frame.
        labels: N float32: clicks, a box's corners (2, 3), padding (-1).
        several: Whether more than one click or box was given.
    """

    coords: NDArray[np.float32]
    labels: NDArray[np.float32]
    several: bool


@dataclass(frozen=True)
class PeerPrediction(RawPrediction):
    """A decoder's answer.

    Attributes:
        logits: MxHxW at the photo's size, or Mxsxs in the decoder's square, padding included.
    """

    logits: NDArray[np.float32]


class PairSegmenter:
    """A promptable network in ONNX Runtime. The embedding of the latest photo is kept."""

    #: Logits above it belong to a mask; the same in all of them.
    mask_threshold = 0.0

    def __init__(self, peer: Peer, decoder: Decoder, threads: int | None = None) -> None:
        assert not isinstance(peer.framing, Letterboxed), "read_peer gives this form its framing"
        self._peer, self._names, self._framing = peer, decoder, peer.framing
        runners = [GraphRunner(path, threads) for path in peer.files]
        self._encoder, self._decoder = runners[0] if len(runners) == 2 else None, runners[-1]
        self._embedded: Photo | None = None
        self._embedding: NDArray[np.generic]

    @property
    def input_key(self) -> str:
        """Equal for two segmenters that take a photo and a prompt in the same way."""
        points = (self._names.batched, self._names.points, self._names.most_points)
        return repr((self._peer.preset, self._framing, points))

    def prepare(self, image: NDArray[np.uint8]) -> Photo:
        """The encoder's input for an HxWx3 uint8 RGB photo."""
        return Photo(self._framing.tensor(image), (image.shape[0], image.shape[1]))

    def encode(self, prompt: Prompt, image_hw: tuple[int, int]) -> Points:
        """The decoder's points: the clicks, then the box as two corners.

        Without a box SAM's decoders expect one point of padding. EfficientSAM knows no background
        clicks, which are left out, and takes 6 points, a box's corners among them.
        """
        return list_points(self._names, self._framing, prompt, image_hw)

    def run(self, photo: Photo, points: Points) -> PeerPrediction:
        """All masks that answer a prompt, with their predicted IoUs.

        Of SAM's four masks, one prompt (a click, a box) is answered by the last three, and several
        prompts by the first, which is trained for them: `select_masks` of SAM's exporter.

        Raises:
            ArtifactError: A file cannot be run, or returns what it should not.
        """
        names = self._names
        feeds = decoder_inputs(names, self._embed(photo), points, photo.image_hw)
        masks = names.masks or names.low_res_masks
        assert masks is not None, "a decoder has one of the two"
        scores, logits = self._decoder.run(feeds, [names.scores, masks])
        scores, logits = _checked(scores, 1, names.scores), _checked(logits, 3, masks)
        chosen = _chosen(len(scores), points.several)
        logits = logits[chosen]
        shown = logits if names.masks else self._framing.cut(logits, photo.image_hw)
        return PeerPrediction(shown, scores[chosen], logits)

    def _embed(self, photo: Photo) -> NDArray[np.generic]:
        if self._encoder is None:
            return photo.tensor
        if photo is not self._embedded:
            feeds = {self._peer.image_input: photo.tensor}
            self._embedding = self._encoder.run(feeds, None)[0]
            self._embedded = photo
        return self._embedding

    def mask(
        self, prediction: PeerPrediction, index: int, image_hw: tuple[int, int]
    ) -> NDArray[np.bool_]:
        """One mask of an answer at the photo's size, HxW bool."""
        logits = prediction.logits[index][None]
        if self._names.masks is None:
            logits = self._framing.restore(logits, image_hw)
        if logits.shape[1:] != image_hw:
            raise ArtifactError(
                f"{self._peer.files[-1]} returns masks of {logits.shape[1:]} for {image_hw} pixels"
            )
        mask: NDArray[np.bool_] = logits[0] > self.mask_threshold
        return mask


def list_points(
    names: Decoder, framing: Framing, prompt: Prompt, image_hw: tuple[int, int]
) -> Points:
    """A prompt as a decoder takes it; see `PairSegmenter.encode`."""
    coords, labels = _kept_points(names, prompt)
    clicks = int((labels < BOX_CORNER).sum())
    several = clicks + (prompt.box is not None) > 1
    if names.points is not None:
        missing = names.points - len(labels)
    else:
        # EfficientSAM's graph pads by itself, with coordinates that count.
        missing = int(prompt.box is None and not names.batched)
    coords = np.pad(framing.points(coords, image_hw), ((0, missing), (0, 0)))
    return Points(coords, np.pad(labels, (0, missing), constant_values=PADDING), several)


def _kept_points(names: Decoder, prompt: Prompt) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    if names.batched:
        kept = prompt.point_labels == FOREGROUND
        prompt = Prompt(prompt.point_coords[kept], prompt.point_labels[kept], prompt.box)
    corners = 0 if prompt.box is None else 2
    if names.most_points is not None:
        prompt = limit_clicks(prompt, max(names.most_points - corners, 0))
    coords, labels = prompt.point_coords, prompt.point_labels.astype(np.float32)
    if prompt.box is None:
        return coords, labels
    box = np.asarray(prompt.box, np.float32).reshape(2, 2)
    return np.append(coords, box, 0), np.append(labels, [BOX_CORNER, BOX_OPPOSITE_CORNER])


def decoder_inputs(
    names: Decoder, embedding: NDArray[np.generic], points: Points, image_hw: tuple[int, int]
) -> dict[str, NDArray[np.generic]]:
    """All inputs of a decoder by name.

    Args:
        names: The decoder.
        embedding: The encoder's output.
        points: The prompt.
        image_hw: Height and width of the photo.
    """
    axes = (None, None) if names.batched else (None,)
    feeds: dict[str, NDArray[np.generic]] = {
        names.embeddings: embedding,
        names.coords: points.coords[axes].astype(np.float32),
        names.labels: points.labels[axes].astype(np.float32),
    }
    feeds |= {tensor.name: _zeros(tensor) for tensor in names.constants}
    if names.size_dtype is not None:
        feeds["orig_im_size"] = np.array(image_hw, names.size_dtype)
    return feeds


def file_inputs(
    peer: Peer, graph: Graph, image: NDArray[np.uint8], prompt: Prompt
) -> list[NDArray[np.generic]]:
    """Inputs of one of a peer's files, `graph`, for a photo and a prompt, in the file's order.

    A decoder gets random numbers of the embedding's size.
    """
    image_hw = (image.shape[0], image.shape[1])
    feeds: dict[str, NDArray[np.generic]] = {peer.image_input: peer.framing.tensor(image)}
    inputs = graph.inputs
    if isinstance(peer.decoder, Decoder) and graph.path == peer.files[-1]:
        assert not isinstance(peer.framing, Letterboxed), "read_peer gives this form its framing"
        points = list_points(peer.decoder, peer.framing, prompt, image_hw)
        embedding = inputs[peer.decoder.embeddings]
        given = feeds.get(embedding.name)
        if given is None:
            given = random_array(embedding.shape, np.dtype(embedding.dtype))
        feeds = decoder_inputs(peer.decoder, given, points, image_hw)
    return [feeds[name] for name in inputs]


def _zeros(tensor: Tensor) -> NDArray[np.generic]:
    return np.zeros([size or 1 for size in tensor.shape], tensor.dtype)


def _checked(value: NDArray[np.generic], axes: int, name: str) -> NDArray[np.float32]:
    """An output without its batch and query axes, as finite float32."""
    leading = value.ndim - axes
    if leading < 0 or any(size != 1 for size in value.shape[:leading]):
        raise ArtifactError(f"output '{name}' has the shape {value.shape}, not one answer")
    numbers = value.reshape(value.shape[leading:]).astype(np.float32)
    if not np.isfinite(numbers).all():
        raise ArtifactError(f"output '{name}' holds values that are not finite")
    return numbers


def _chosen(count: int, several: bool) -> slice:
    """The masks that answer one prompt or several, of those that a decoder returns."""
    if count != _ALL_MASKS:
        return slice(None)
    return slice(0, 1) if several else slice(1, None)
