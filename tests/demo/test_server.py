import base64
import io
import re
import socket
import struct
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from sqsam_deploy.datasets.images import decode_image
from sqsam_deploy.demo import serving
from sqsam_deploy.demo.server import STATIC, build_app
from sqsam_deploy.demo.serving import HEADERS, listen
from sqsam_deploy.demo.studio import Limits, Studio
from tests.demo.conftest import HOSTS, Discs, MiddleSaliency, served


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
    # The middle quarter of the photo, its center and the centers of its quarters.
    clicks = [(p["x"], p["y"], p["label"]) for p in body["points"]]
    expected = [(199.5, 149.5), (174.5, 130.75), (224.5, 130.75), (174.5, 168.25), (224.5, 168.25)]
    np.testing.assert_allclose(clicks, [(*p, 1) for p in expected], atol=1e-3)
    assert mask_of(body).shape == (300, 400)
    assert mask_of(body)[150, 200] == 255
    assert body["milliseconds"].keys() == {"decode", "resize", "saliency", "mask"}


class Turned(Discs):
    """Its best mask by predicted IoU is empty, the second one is the discs."""

    def execute(self, feeds):
        answer = super().execute(feeds)
        return {**answer, "low_res_masks": answer["low_res_masks"][:, [1, 0, 2, 3]]}


def test_an_upload_starts_with_the_mask_that_is_most_like_the_salient_blob(photo):
    client = client_of(Turned())
    started = client.post("/photos", content=photo).json()
    assert [c["predicted_iou"] for c in started["choices"]] == [0.9, 0.3, 0.2, 0.1]
    assert (started["chosen"], started["empty"]) == (1, False)
    asked = {key: started[key] for key in ("points", "box", "chosen")}
    for point in asked["points"]:
        del point["used"]
    again = client.post(f"/photos/{started['id']}/mask", json=asked).json()
    np.testing.assert_array_equal(mask_of(again), mask_of(started))


def test_clicks_make_the_mask(client, photo):
    identifier = client.post("/photos", content=photo).json()["id"]
    answer = client.post(f"/photos/{identifier}/mask", json=points((100, 100, 1), (110, 100, 0)))
    mask = mask_of(answer.json())
    # A disc of 40 of 256 around (100, 100) is 62 x 47 pixels of the photo in each direction.
    assert mask[100, 50] == mask[140, 90] == 255
    assert mask[100, 110] == mask[100, 180] == mask[200, 100] == 0
    assert answer.json()["milliseconds"].keys() == {"mask"}


def test_a_box_makes_the_mask(client, photo):
    identifier = client.post("/photos", content=photo).json()["id"]
    body = {"points": [], "box": [100, 60, 300, 240]}
    answer = client.post(f"/photos/{identifier}/mask", json=body).json()
    assert answer["box"] == [100, 60, 300, 240]
    mask = mask_of(answer)
    assert mask[64:236, 104:296].min() == 255
    assert mask[:56].max() == mask[:, :96].max() == mask[244:].max() == mask[:, 304:].max() == 0


def test_a_mask_can_be_chosen_and_an_empty_one_is_said_to_be_empty(client, photo):
    identifier = client.post("/photos", content=photo).json()["id"]
    found = {}
    for chosen in (0, 1, 2, 9):
        body = points((200, 150, 1)) | {"chosen": chosen}
        found[chosen] = client.post(f"/photos/{identifier}/mask", json=body).json()
    assert [c["predicted_iou"] for c in found[0]["choices"]] == [0.9, 0.3, 0.2, 0.1]
    assert [found[n]["chosen"] for n in found] == [0, 1, 2, 3]
    assert [found[n]["empty"] for n in found] == [False, True, False, False]
    assert mask_of(found[1]).max() == 0
    assert mask_of(found[2]).min() == 255
    small = [mask_of(choice) for choice in found[0]["choices"]]
    assert [mask.shape for mask in small] == [(128, 128)] * 4
    assert small[1].max() == 0
    # The cut-out is that of the mask that was asked for last, which is like the first.
    png = client.get(f"/photos/{identifier}/cutout.png").content
    alpha = np.asarray(Image.open(io.BytesIO(png)))[..., 3]
    np.testing.assert_array_equal(alpha, mask_of(found[0]))


def test_clicks_that_the_network_is_not_told_of_are_marked(client, session, photo):
    identifier = client.post("/photos", content=photo).json()["id"]
    asked = points(*((40 * n, 100, 1 - n % 2) for n in range(9)))
    answer = client.post(f"/photos/{identifier}/mask", json=asked).json()
    used = [p["x"] for p in answer["points"] if p["used"]]
    coords, labels = session.points
    told = coords[(labels == 0) | (labels == 1), 0]
    # Of a photo 400 wide, a network of 256 sees the middle of pixel x at (x + 0.5) * 256 / 400.
    np.testing.assert_allclose(told, (np.array(used) + 0.5) * 256 / 400 - 0.5, atol=0.51)
    assert len(used) == 6


def test_the_example_is_a_photo(client):
    answer = client.get("/example.jpg")
    assert answer.headers["content-type"] == "image/jpeg"
    assert client.post("/photos", content=answer.content).status_code == 201


def client_of(session=None, **options) -> TestClient:
    studio = Studio(session or Discs(), MiddleSaliency(), **options)
    return TestClient(build_app(studio, "nano", HOSTS))


def test_a_photo_is_read_once_however_often_it_is_clicked(photo):
    decoded = []

    def decode(content, name):
        decoded.append(name)
        return decode_image(content, name)

    client = client_of(decode=decode)
    identifier = client.post("/photos", content=photo).json()["id"]
    for x in range(3):
        assert client.post(f"/photos/{identifier}/mask", json=points((x, 1, 1))).status_code == 200
    assert len(decoded) == 1


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
        (b"%PDF-1.7 not a photo", 400, "cannot be read"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 40, 400, "cannot be read"),
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


def test_an_upload_over_the_limit_is_not_read_to_its_end():
    client = client_of(limits=Limits(upload_bytes=1 << 20))
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
        (b"", "Invalid JSON"),
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


def test_photos_are_forgotten_the_one_not_used_for_longest_first(photo):
    client = client_of(limits=Limits(photos=2))
    first, second = (client.post("/photos", content=photo).json()["id"] for _ in range(2))
    assert client.post(f"/photos/{first}/mask", json=points((5, 5, 1))).status_code == 200
    client.post("/photos", content=photo)
    assert client.get(f"/photos/{first}/cutout.png").status_code == 200
    gone = client.get(f"/photos/{second}/cutout.png")
    assert gone.status_code == 404
    assert "open it again" in gone.json()["error"]


def visitor(client: TestClient) -> TestClient:
    """Another browser at the same server."""
    return TestClient(client.app)


def test_nobodys_photos_push_out_anothers(photo):
    one = client_of(limits=Limits(photos=2))
    kept = [one.post("/photos", content=photo).json()["id"] for _ in range(2)]
    other = visitor(one)
    others = [other.post("/photos", content=photo).json()["id"] for _ in range(5)]
    for _ in range(5):
        assert visitor(one).post("/photos", content=photo).status_code == 201
    assert [one.get(f"/photos/{name}/cutout.png").status_code for name in kept] == [200] * 2
    expected = [404, 404, 404, 200, 200]
    assert [one.get(f"/photos/{name}/cutout.png").status_code for name in others] == expected


def test_the_memory_of_all_photos_is_bounded_and_what_is_unused_makes_room(photo):
    now = [0.0]
    # Two photos: 4 MB and 4 bytes for each of 300 x 400 pixels.
    limits = Limits(all_bytes=2 * ((8 << 20) + 4 * 300 * 400), idle_seconds=100)
    one = client_of(limits=limits, clock=lambda: now[0])
    two, three = visitor(one), visitor(one)
    first, second = (c.post("/photos", content=photo).json()["id"] for c in (one, two))
    refused = three.post("/photos", content=photo)
    assert (refused.status_code, list(refused.json())) == (503, ["error"])
    # One's own photo makes room for one's next.
    assert two.post("/photos", content=photo).status_code == 201
    assert one.get(f"/photos/{first}/cutout.png").status_code == 200
    assert two.get(f"/photos/{second}/cutout.png").status_code == 404
    now[0] = 101
    assert three.post("/photos", content=photo).status_code == 201
    assert one.get(f"/photos/{first}/cutout.png").status_code == 404


def test_a_visitors_photos_are_bounded_in_bytes(photo):
    client = client_of(limits=Limits(visitor_bytes=12 << 20))
    first, second = (client.post("/photos", content=photo).json()["id"] for _ in range(2))
    assert client.get(f"/photos/{first}/cutout.png").status_code == 404
    assert client.get(f"/photos/{second}/cutout.png").status_code == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 201),
        ({"Origin": "http://testserver"}, 201),
        ({"Origin": "http://localhost:8765", "Host": "LOCALHOST:8765"}, 201),
        ({"Sec-Fetch-Site": "same-origin"}, 201),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": ""}, 403),
        ({"Origin": "http://testserver:8765"}, 403),
        ({"Origin": "http://localhost"}, 403),
        ({"Origin": "http://testserver.evil.example"}, 403),
        ({"Origin": "http://testserver@evil.example"}, 403),
        ({"Origin": "ftp://testserver"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
    ],
)
def test_no_other_site_can_post(client, photo, headers, status):
    assert client.post("/photos", content=photo, headers=headers).status_code == status


def test_no_other_site_can_click(client, photo):
    identifier = client.post("/photos", content=photo).json()["id"]
    evil = {"Origin": "http://evil.example"}
    url = f"/photos/{identifier}/mask"
    assert client.post(url, json=points((1, 1, 1)), headers=evil).status_code == 403


def raw(port: int, request: bytes, seconds: float = 5) -> bytes:
    """Everything the server answers to some bytes until it closes the connection."""
    with socket.create_connection(("127.0.0.1", port), seconds) as connection:
        connection.sendall(request)
        answer = b""
        while piece := connection.recv(1 << 16):
            answer += piece
    return answer


def ask(path: str, method: str = "GET", host: str = "localhost", body: bytes = b"") -> bytes:
    head = f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


@pytest.mark.slow
def test_every_answer_says_that_it_is_not_to_be_sniffed_and_may_load_nothing(photo):
    def crash(content, name):
        raise RuntimeError

    app = build_app(Studio(Discs(), MiddleSaliency(), decode=crash), "nano", HOSTS)
    asked = {
        200: ask("/"),
        400: ask("/", host="evil.example"),
        404: ask("/nothing"),
        405: ask("/", "POST"),
        500: ask("/photos", "POST", body=photo),
    }
    with served(app) as port:
        answers = {status: raw(port, request) for status, request in asked.items()}
        answers |= {200: raw(port, ask("/page.js")), 400: raw(port, b"\0no HTTP\r\n\r\n")}
    for status, answer in answers.items():
        assert int(answer.split(None, 2)[1]) == status
        head = answer.partition(b"\r\n\r\n")[0].lower().splitlines()
        for name, value in HEADERS:
            assert head.count(f"{name}: {value}".lower().encode()) == 1
    policy = dict(HEADERS)["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    assert set(re.findall(r"'unsafe-[\w-]+'|'wasm-[\w-]+'|\*|https?:", policy)) == {
        "'wasm-unsafe-eval'"
    }
    # Where a host sends no headers the page brings the policy itself.
    (own,) = re.findall(r'Policy" content="([^"]+)"', (STATIC / "index.html").read_text())
    assert own == policy.removesuffix("; frame-ancestors 'none'")


@pytest.mark.slow
def test_unfinished_uploads_are_dropped_and_hold_up_nobody(photo):
    limits = Limits(uploads=2, seconds=3, stalled_seconds=0.5)
    half = ask("/photos", "POST", body=photo)[:-100]
    with served(build_app(Studio(Discs(), MiddleSaliency(), limits), "nano", HOSTS)) as port:
        held = [socket.create_connection(("127.0.0.1", port), 10) for _ in range(6)]
        for connection in held:
            connection.sendall(half)
        assert b" 200 " in raw(port, ask("/page.json"))
        assert b" 201 " in raw(port, ask("/photos", "POST", body=photo), 20)
        for connection in held:
            assert b" 408 " in connection.recv(1 << 16)[:20]
            connection.close()


@pytest.mark.slow
def test_a_dripping_upload_is_dropped(photo):
    limits = Limits(seconds=1, stalled_seconds=0.5)
    app = build_app(Studio(Discs(), MiddleSaliency(), limits), "nano", HOSTS)
    with served(app) as port, socket.create_connection(("127.0.0.1", port), 10) as connection:
        connection.sendall(ask("/photos", "POST", body=photo)[:-1000])
        connection.settimeout(0.1)
        start = time.monotonic()
        answer = b""
        while not answer and time.monotonic() - start < 10:
            connection.sendall(b"x")
            with suppress(TimeoutError):
                answer = connection.recv(100)
    assert b" 408 " in answer


@pytest.mark.slow
def test_a_connection_without_a_request_is_closed(app, monkeypatch):
    # Nobody wants to wait for as long as a slow visitor may.
    monkeypatch.setattr(serving, "SILENT_SECONDS", 1.0)
    with served(app) as port, ThreadPoolExecutor(2) as both:
        begun = (b"", b"GET / HTTP/1.1\r\nHost: loc")
        answers = both.map(lambda sent: raw(port, sent, 5), begun)
        assert list(answers) == [b"", b""]


def test_another_host_name_is_refused(client):
    assert client.get("/", headers={"Host": "evil.example"}).status_code == 400
    assert client.get("/", headers={"Host": "localhost:8765"}).status_code == 200


def test_the_page_names_no_other_site(client):
    for name in ("", "page.js", "style.css", "server.js", "browser.js", "worker.js"):
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
