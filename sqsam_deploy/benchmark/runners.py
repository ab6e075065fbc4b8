"""The four kinds of subject a worker can load and run, each timing its own stages."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from sqsam_deploy.artifact.metadata import ArtifactMetadata
from sqsam_deploy.benchmark.jobs import Job
from sqsam_deploy.benchmark.photos import Photo, bind_photo, large_photo, load_photos
from sqsam_deploy.benchmark.result import Stage
from sqsam_deploy.peers import file_inputs, read_peer
from sqsam_deploy.peers.graphs import read_graph
from sqsam_deploy.runtimes.base import RawRunner
from sqsam_deploy.runtimes.registry import find_runtime, runtime_of_metadata, runtimes_for
from sqsam_deploy.runtimes.session import Session

StageTimes = dict[Stage, float]


class Runner(Protocol):
    """One subject in this process."""

    def load(self) -> None:
        """Opens it; everything that is not its own was imported before."""

    def run(self, index: int) -> StageTimes:
        """One inference on input number `index`, in milliseconds."""


def make_runner(job: Job) -> Runner:
    """The runner of a job, with libraries imported and inputs prepared."""
    if job.kind == "plain":
        return PlainRunner(Path(job.target), job.threads)
    if job.kind == "peer":
        return PeerRunner(job, load_photos(job.photos))
    _limit_torch(job.threads)
    if job.kind == "network":
        return NetworkRunner(job.target, load_photos(job.photos))
    assert job.metadata is not None, "an artifact comes with its metadata"
    return ArtifactRunner(Path(job.target), job.metadata, job.threads, load_photos(job.photos))


def _limit_torch(threads: int) -> None:
    import torch

    torch.set_num_threads(threads)


class SessionRunner:
    """Photo and prompt to mask, as an app does it, for anything that is a `Session`.

    Of a saliency network: photo to the clicks that `--auto` starts from.
    """

    def __init__(self, photos: list[Photo]) -> None:
        self._photos = photos
        self._large = large_photo(photos[-1])
        self._session: Session

    def run(self, index: int) -> StageTimes:
        """Resize and draw; infer; make a mask or clicks of the answer; wait for two masks."""
        photo, session = self._photos[index % len(self._photos)], self._session
        height, width = photo.image.shape[:2]
        start = time.perf_counter()
        feeds = bind_photo(photo, session.metadata)
        ready = time.perf_counter()
        # `Session.run` would bind the inputs once more and check the outputs.
        outputs = session.execute(feeds)
        inferred = time.perf_counter()
        finish = _clicks if session.metadata.task == "saliency" else _mask
        finish(outputs, session.metadata, (height, width))
        times = _stages(start, ready, inferred, time.perf_counter())
        return times if session.metadata.task == "saliency" else times | self._waits()

    def _waits(self) -> StageTimes:
        """The first mask of a large photo, and the next one after another click."""
        from sqsam_deploy.predictor import Predictor

        predictor, photo = Predictor(self._session), self._large
        start = time.perf_counter()
        predictor.set_image(photo.image)
        _ = predictor.predict_low_res(photo.prompt)
        first = time.perf_counter()
        height, width = photo.image.shape[:2]
        _ = predictor.predict_low_res(photo.prompt.with_click(width / 3, height / 3, label=1))
        done = time.perf_counter()
        return {"first_mask": (first - start) * 1e3, "next_mask": (done - first) * 1e3}


_Outputs = Mapping[str, NDArray[np.generic]]


def _mask(
    outputs: _Outputs, metadata: ArtifactMetadata, image_hw: tuple[int, int]
) -> NDArray[np.bool_]:
    """The best mask, scaled up and cut off: HxW."""
    from sqsam_deploy.predictor import upsample_masks

    best = int(np.argmax(outputs["iou_predictions"]))
    logits = np.asarray(outputs["low_res_masks"][0, best : best + 1], np.float32)
    mask: NDArray[np.bool_] = upsample_masks(logits, image_hw)[0] > metadata.mask_threshold
    return mask


def _clicks(
    outputs: _Outputs, metadata: ArtifactMetadata, image_hw: tuple[int, int]
) -> NDArray[np.float32]:
    """The clicks on what is salient: 5x2."""
    from sqsam_deploy.prompts.saliency import saliency_clicks, saliency_of_logits

    logits = np.asarray(outputs[metadata.outputs[0].name][0, 0], np.float32)
    return saliency_clicks(saliency_of_logits(logits)).scaled_to(image_hw)


def _stages(start: float, ready: float, inferred: float, done: float) -> StageTimes:
    return {
        "preprocess": (ready - start) * 1e3,
        "inference": (inferred - ready) * 1e3,
        "postprocess": (done - inferred) * 1e3,
        "total": (done - start) * 1e3,
    }


class ArtifactRunner(SessionRunner):
    """One of this project's artifacts."""

    def __init__(
        self, path: Path, metadata: ArtifactMetadata, threads: int, photos: list[Photo]
    ) -> None:
        super().__init__(photos)
        self._path, self._metadata, self._threads = path, metadata, threads
        self._runtime = runtime_of_metadata(metadata, path)
        # What a runtime's first use would import; loading an artifact does not pay for it.
        self._runtime.load_library()

    def load(self) -> None:
        """Opens the artifact as an app does: without verifying it, and without a copy of it."""
        network = self._runtime.raw_runner(self._path, self._threads)
        self._session = DirectSession(self._metadata, network)


class DirectSession(Session):
    """A runtime with nothing between it and the photo."""

    def __init__(self, metadata: ArtifactMetadata, network: RawRunner) -> None:
        self.metadata, self._network = metadata, network

    @override
    def execute(
        self, feeds: Mapping[str, NDArray[np.generic]]
    ) -> Mapping[str, NDArray[np.generic]]:
        values = self._network.run([feeds[spec.name] for spec in self.metadata.inputs])
        outputs = zip(self.metadata.outputs, values, strict=True)
        return {spec.name: np.asarray(value) for spec, value in outputs}


class NetworkRunner(SessionRunner):
    """A preset in torch, float32, eager, with random weights."""

    def __init__(self, preset_name: str, photos: list[Photo]) -> None:
        super().__init__(photos)
        self._preset = preset_name

    def load(self) -> None:
        """Builds the network; the time this takes says nothing about loading weights."""
        from sqsam_deploy.benchmark.random_network import RandomNetworkSession

        self._session = RandomNetworkSession(self._preset)


class PlainRunner:
    """A file of any network, on random numbers: only the inference is timed."""

    def __init__(self, path: Path, threads: int) -> None:
        self._path, self._threads = path, threads
        self._network: RawRunner
        self._feeds: list[NDArray[np.generic]] = []
        self._runtime = runtimes_for(path)[0]
        self._runtime.load_library()

    def load(self) -> None:
        """Opens the file."""
        self._network = self._runtime.raw_runner(self._path, self._threads)

    def run(self, index: int) -> StageTimes:
        """One inference; every one sees the same input."""
        if not self._feeds:
            self._feeds = self._network.random_inputs()
        start = time.perf_counter()
        self._network.run(self._feeds)
        return {"inference": (time.perf_counter() - start) * 1e3}


class PeerRunner:
    """One file of a peer, fed with photos and prompts as the peer feeds it."""

    def __init__(self, job: Job, photos: list[Photo]) -> None:
        self._path, self._threads = Path(job.target), job.threads
        peer = read_peer("peer", [Path(file) for file in job.peer])
        graph = read_graph(self._path)
        self._feeds = [file_inputs(peer, graph, photo.image, photo.prompt) for photo in photos]
        self._runtime = find_runtime(peer.runtime)
        self._network: RawRunner
        self._runtime.load_library()

    def load(self) -> None:
        """Opens the file."""
        self._network = self._runtime.raw_runner(self._path, self._threads)

    def run(self, index: int) -> StageTimes:
        """One inference."""
        feeds = self._feeds[index % len(self._feeds)]
        start = time.perf_counter()
        self._network.run(feeds)
        return {"inference": (time.perf_counter() - start) * 1e3}
