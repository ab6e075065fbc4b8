import base64
import io
import socket
import struct
import zlib

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from sqsam_deploy.demo import server, studio
from sqsam_deploy.demo.serving import listen


@pytest.fixture
def client(app):
    return TestClient(app)


def mask_of(answer: dict) -> np.ndarray:
    png = base64.b64decode(answer["mask"].removeprefix("data:image/png;base64,"))
    return np.asarray(Image.open(io.BytesIO(png)))


def points(*triples) -> dict:
    return {"points": [{"x": x, "y": y, "label": label} for x, y, label in triples]}


def test_an_upload_starts_by_itself(client, photo):
    answer = client.post("/photos", content=photo)
    assert answer.status_code == 201
    body = answer.json()
    assert (body["width"], body["height"]) == (400, 300)
    # The middle quarter of the photo, its centre and the centres of its quarters.
    clicks = [(p["x"], p["y"], p["label"]) for p in body["points"]]
    expected = [(199.5, 149.5), (174.5, 130.75), (224.5, 130.75), (174.5, 168.25), (224.5, 168.25)]
    np.testing.assert_allclose(clicks, [(*p, 1) for p in expected], atol=1e-3)
    assert mask_of(body).shape == (300, 400)
    assert mask_of(body)[150, 200] == 255
    assert body["milliseconds"].keys() == {"decode", "resize", "saliency", "mask"}


def test_clicks_make_the_mask(client, photo):
    identifier = client.post("/photos", content=photo).json()["id"]
    answer = client.post(f"/photos/{identifier}/mask", json=points((100, 100, 1), (110, 100, 0)))
    mask = mask_of(answer.json())
    # A disc of 40 of 256 around (100, 100) is 62 x 47 pixels of the photo in each direction.
    assert mask[100, 50] == mask[140, 90] == 255
    assert mask[100, 110] == mask[100, 180] == mask[200, 100] == 0
    assert answer.json()["milliseconds"].keys() == {"mask"}


def test_a_photo_is_read_once_however_often_it_is_clicked(client, photo, monkeypatch, session):
    identifier = client.post("/photos", content=photo).json()["id"]
    monkeypatch.setattr(studio, "decode_image", None)
    monkeypatch.setattr("sqsam_deploy.predictor.prepare_image", None)
    for x in range(3):
        assert client.post(f"/photos/{identifier}/mask", json=points((x, 1, 1))).status_code == 200
    assert session.runs == 4


def test_the_cut_out_is_the_photo_behind_the_latest_mask(client, photo):
    identifier = client.post("/photos", content=photo).json()["id"]
    answer = client.post(f"/photos/{identifier}/mask", json=points((100, 100, 1)))
    png = client.get(f"/photos/{identifier}/cutout.png")
    assert png.headers["content-type"] == "image/png"
    cutout = np.asarray(Image.open(io.BytesIO(png.content)))
    np.testing.assert_array_equal(cutout[..., 3], mask_of(answer.json()))
    np.testing.assert_array_equal(cutout[..., :3], np.asarray(Image.open(io.BytesIO(photo))))


def test_a_photo_lies_as_its_exif_says(client):
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    Image.new("RGB", (40, 20)).save(buffer, format="JPEG", exif=exif)
    body = client.post("/photos", content=buffer.getvalue()).json()
    assert (body["width"], body["height"]) == (20, 40)


@pytest.mark.parametrize(
    ("content", "status", "message"),
    [
        (b"", 400, "the upload is empty"),
        (b"%PDF-1.7 not a photo", 400, "no photo that can be read"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 40, 400, "no photo that can be read"),
    ],
)
def test_bad_uploads_get_one_sentence(client, content, status, message):
    answer = client.post("/photos", content=content)
    assert answer.status_code == status
    assert answer.json().keys() == {"error"}
    assert message in answer.json()["error"]


def test_a_truncated_photo_gets_one_sentence(client, photo):
    answer = client.post("/photos", content=photo[: len(photo) // 2])
    assert answer.status_code == 400
    assert "cannot be read" in answer.json()["error"]


def test_an_upload_over_the_limit_is_not_read_to_its_end(client, monkeypatch):
    monkeypatch.setattr(server, "MAX_UPLOAD_BYTES", 1024 * 1024)
    read = []

    def endless():
        for _ in range(1000):
            read.append(1)
            yield b"x" * 100_000

    answer = client.post("/photos", content=endless())
    assert answer.status_code == 413
    assert answer.json()["error"] == "the upload is larger than 1 MB"


def png_header(width: int, height: int) -> bytes:
    """A PNG file that says it is huge and has hardly any bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_picture_that_would_fill_the_memory_is_refused_by_its_header(client):
    answer = client.post("/photos", content=png_header(10_000, 9_000))
    assert answer.status_code == 400
    assert "10000x9000 pixels, more than 50 million" in answer.json()["error"]
    assert client.post("/photos", content=png_header(60_000, 60_000)).status_code == 400


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "the request: Invalid JSON"),
        (b"{}", "points: Field required"),
        (b'{"points": [{"x": 1, "y": 2, "label": 3}]}', "points.0.label"),
        (b'{"points": [{"x": "NaN", "y": 2, "label": 1}]}', "points.0.x"),
        (b'{"points": [{"x": 1, "y": 2, "label": 1, "z": 1}]}', "points.0.z"),
    ],
)
def test_bad_clicks_get_one_sentence(client, photo, body, message):
    identifier = client.post("/photos", content=photo).json()["id"]
    answer = client.post(f"/photos/{identifier}/mask", content=body)
    assert answer.status_code == 400
    assert message in answer.json()["error"]


def test_photos_are_forgotten_the_one_not_used_for_longest_first(client, photo, monkeypatch):
    monkeypatch.setattr(studio, "KEPT_PHOTOS", 2)
    first, second = (client.post("/photos", content=photo).json()["id"] for _ in range(2))
    assert client.post(f"/photos/{first}/mask", json=points((5, 5, 1))).status_code == 200
    client.post("/photos", content=photo)
    assert client.get(f"/photos/{first}/cutout.png").status_code == 200
    gone = client.get(f"/photos/{second}/cutout.png")
    assert gone.status_code == 404
    assert "open it again" in gone.json()["error"]


def test_another_host_name_is_refused(client):
    assert client.get("/", headers={"Host": "evil.example"}).status_code == 400
    assert client.get("/", headers={"Host": "localhost:8765"}).status_code == 200


def test_the_page_may_load_nothing_from_elsewhere(client):
    policy = client.get("/").headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    for name in ("", "static/page.js", "static/style.css"):
        text = client.get(f"/{name}").text
        assert "http://" not in text
        assert "https://" not in text


def test_a_port_in_use_is_said_before_anything_is_served():
    taken = listen("127.0.0.1", 0)
    with pytest.raises(OSError, match=r"cannot listen on 127\.0\.0\.1"):
        listen("127.0.0.1", taken.getsockname()[1])
    taken.close()


def test_listening_takes_a_free_port():
    with listen("127.0.0.1", 0) as free:
        assert isinstance(free, socket.socket)
        assert free.getsockname()[1] > 0
