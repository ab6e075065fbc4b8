import io
import shutil
import threading
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from filelock import FileLock
from PIL import Image
from torch import Tensor, nn

from sqsam_deploy.demo.folder import find_models, write_page
from sqsam_deploy.demo.server import build_app
from sqsam_deploy.demo.serving import listen, make_server
from sqsam_deploy.demo.studio import Studio
from sqsam_deploy.model.config import NANO
from sqsam_deploy.model.description import describe, describe_saliency
from sqsam_deploy.model.saliency import SALIENCY
from sqsam_deploy.runtimes.onnx import RUNTIME as ONNX
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


class DiscsNetwork(nn.Module):
    """`Discs` as a network, for an artifact that a browser runs."""

    def forward(
        self, image: Tensor, prompt_maps: Tensor, coords: Tensor, labels: Tensor
    ) -> tuple[Tensor, Tensor]:
        middles = (torch.arange(128.0) + 0.5) * 2
        x, y = middles.view(1, 1, 128), middles.view(1, 128, 1)
        column, row = coords[0, :, 0].view(8, 1, 1), coords[0, :, 1].view(8, 1, 1)
        label = labels[0].view(8, 1, 1)
        opened, closed = (label == 2).float(), (label == 3).float()
        left, top = (column * opened).sum(), (row * opened).sum()
        right, bottom = (column * closed).sum(), (row * closed).sum()
        boxed = (x >= left) & (x <= right) & (y >= top) & (y <= bottom) & (closed.sum() > 0)
        distance = (x - column) ** 2 + (y - row) ** 2
        added = ((label == 1) & (distance < 40**2)).float().amax(0) > 0
        removed = ((label == 0) & (distance < 25**2)).float().amax(0) > 0
        mask = torch.where((boxed[0] | added) & ~removed, 1.0, -1.0)
        # Inputs that nothing reads would not be declared.
        unread = 0 * (image.mean() + prompt_maps.mean())
        masks = torch.stack([mask, torch.full_like(mask, -1), torch.ones_like(mask), mask])[None]
        return masks + unread, torch.tensor([[0.9, 0.3, 0.2, 0.1]]) + unread


class MiddleSaliencyNetwork(nn.Module):
    """`MiddleSaliency` as a network."""

    def forward(self, image: Tensor) -> Tensor:
        inside = ((torch.arange(128) >= 48) & (torch.arange(128) < 80)).float()
        return 40 * (inside.view(1, 1, 128, 1) * inside) - 20 + 0 * image.mean()


class MiddleSaliency:
    """A saliency map whose middle is salient."""

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


@pytest.fixture(scope="session")
def discs_folder(common: Path) -> Path:
    """The page with `Discs` and `MiddleSaliency` as artifacts that run in the browser."""
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed")
    folder = common / "discs-page"
    with FileLock(common / "discs-page.lock"):
        if not folder.exists():
            models = common / "discs"
            models.mkdir(exist_ok=True)
            about = {"runtime": "onnx", "precision": "fp32", "weights_sha256": "0" * 64}
            square = torch.zeros(1, 3, 256, 256)
            prompt = (torch.zeros(1, 2, 256, 256), torch.zeros(1, 8, 2), torch.zeros(1, 8))
            salient = describe_saliency(SALIENCY, **about)
            for name, network, inputs, metadata in (
                ("discs", DiscsNetwork(), (square, *prompt), describe(NANO, **about)),
                ("saliency", MiddleSaliencyNetwork(), (square,), salient),
            ):
                program = torch.export.export(network.eval(), inputs)
                ONNX.lower(program, metadata, models / f"{name}.onnx")
            write_page(folder, find_models(models / "discs.onnx", None))
    return folder


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


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    from tests.demo.page import start_browser

    driver = start_browser(tmp_path_factory.mktemp("profile"), tmp_path_factory.mktemp("downloads"))
    yield driver
    driver.quit()


@pytest.fixture
def picture(tmp_path, photo):
    path = tmp_path / "my cat.png"
    path.write_bytes(photo)
    return path
