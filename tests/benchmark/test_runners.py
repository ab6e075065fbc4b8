import time

import numpy as np
import pytest

from sqsam_deploy.benchmark.photos import CLICKS, load_photos
from sqsam_deploy.benchmark.runners import DirectSession, SessionRunner
from sqsam_deploy.model.config import preset
from sqsam_deploy.model.description import describe, describe_saliency
from sqsam_deploy.model.saliency import SALIENCY

#: How long the network below takes, in milliseconds.
TAKES = 40


class Network:
    """Returns masks whose second one has the highest IoU, and keeps what it was given."""

    def __init__(self, metadata):
        self.shapes = [spec.shape for spec in metadata.outputs]
        self.feeds = None

    def run(self, feeds):
        self.feeds = feeds
        time.sleep(TAKES / 1e3)
        masks, iou = (np.zeros(shape, np.float32) for shape in self.shapes)
        iou[0, 1] = 1
        return [masks, iou]


@pytest.fixture(scope="module")
def photos():
    return load_photos(2)


def test_every_second_photo_has_clicks_inside_an_object(photos):
    boxed, clicked = (photo.prompt for photo in photos)
    assert boxed.box is not None
    assert len(boxed.point_labels) == 0
    assert clicked.box is None
    assert len(clicked.point_labels) == CLICKS
    height, width, _ = photos[1].image.shape
    assert (clicked.point_coords < [width, height]).all()


def test_the_network_gets_its_declared_inputs_in_order(photos):
    metadata = describe(preset("nano"), runtime="onnx", precision="int8", weights_sha256="0" * 64)
    network = Network(metadata)

    class Loaded(SessionRunner):
        _session = DirectSession(metadata, network)

    runner = Loaded(photos)
    start = time.perf_counter()
    times = runner.run(1)
    wall = 1e3 * (time.perf_counter() - start)
    assert [feed.shape for feed in network.feeds] == [spec.shape for spec in metadata.inputs]
    assert times["inference"] >= TAKES
    assert times["preprocess"] > 0 and times["postprocess"] > 0
    assert times["preprocess"] + times["postprocess"] <= wall - TAKES
    assert times["inference"] < times["total"] <= wall


def test_a_saliency_network_gets_the_photo_and_its_answer_becomes_clicks(photos):
    metadata = describe_saliency(
        SALIENCY, runtime="onnx", precision="int8", weights_sha256="0" * 64
    )

    class Hill:
        def run(self, feeds):
            (self.image,) = feeds
            (spec,) = metadata.outputs
            logits = np.full(spec.shape, -5, np.float32)
            logits[..., 40:60, 50:90] = 5
            return [logits]

    network = Hill()

    class Loaded(SessionRunner):
        _session = DirectSession(metadata, network)

    times = Loaded(photos).run(0)
    assert network.image.shape == metadata.inputs[0].shape
    # 1x3xSxS, 0 to 255: the photo's mean color survives the resizing.
    expected = photos[0].image.mean((0, 1))
    np.testing.assert_allclose(network.image.mean((0, 2, 3)), expected, atol=1)
    assert set(times) == {"preprocess", "inference", "postprocess", "total"}
    assert all(time > 0 for time in times.values())
