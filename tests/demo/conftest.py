import io
import threading
from contextlib import contextmanager

import numpy as np
import pytest
from PIL import Image

from sqsam_deploy.demo.server import build_app
from sqsam_deploy.demo.serving import listen, make_server
from sqsam_deploy.demo.studio import Studio
from sqsam_deploy.model.config import NANO
from sqsam_deploy.model.description import describe
from sqsam_deploy.runtimes.session import Session


class Discs(Session):
    """Masks that can be worked out by hand: a box, discs of 40 around clicks, no discs of 25.

    The second mask is empty, the third is everything, the fourth as the first.
    """

    def __init__(self) -> None:
        self.metadata = describe(NANO, runtime="torch", precision="fp32", weights_sha256="0" * 64)
        self.runs = 0

    def execute(self, feeds):
        self.runs += 1
        self.points = feeds["point_coords"][0], feeds["point_labels"][0]
        y, x = (np.mgrid[:128, :128] + 0.5) * 2
        mask = np.full((128, 128), -1.0, np.float32)
        points = list(zip(feeds["point_coords"][0], feeds["point_labels"][0], strict=True))
        corners = [corner for corner, label in points if label in (2, 3)]
        if corners:
            (x0, y0), (x1, y1) = corners
            mask[(x >= x0) & (x <= x1) & (y >= y0) & (y <= y1)] = 1.0
        for wanted, radius, value in ((1, 40, 1.0), (0, 25, -1.0)):
            for (column, row), label in points:
                if label == wanted:
                    mask[np.hypot(x - column, y - row) < radius] = value
        masks = np.stack([mask, np.full_like(mask, -1), np.full_like(mask, 1), mask])[None]
        return {"low_res_masks": masks, "iou_predictions": np.array([[0.9, 0.3, 0.2, 0.1]])}


class MiddleSaliency:
    """What lies in the middle is salient."""

    def saliency_map(self, image: np.ndarray) -> np.ndarray:
        saliency = np.zeros((64, 64), np.float32)
        saliency[24:40, 24:40] = 1
        return saliency


@pytest.fixture
def session() -> Discs:
    return Discs()


@pytest.fixture
def studio(session) -> Studio:
    return Studio(session, MiddleSaliency())


HOSTS = ["127.0.0.1", "localhost", "testserver"]


@pytest.fixture
def app(studio):
    return build_app(studio, "nano fp32 on torch", HOSTS)


@contextmanager
def served(app):
    """The port of a server of the app, in a thread."""
    listener = listen("127.0.0.1", 0)
    running = make_server(app)
    thread = threading.Thread(target=running.run, args=([listener],), daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        running.should_exit = running.force_exit = True
        thread.join(20)


def encoded(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format=kind, **options)
    return buffer.getvalue()


@pytest.fixture
def photo() -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8)
    return encoded(Image.fromarray(pixels))
