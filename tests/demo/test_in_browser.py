"""The page without a server: hosts, browsers and files as they are met, and what it sends."""

import base64
import hashlib
import http.server
import json
import re
import shutil
import socket
import threading
from contextlib import contextmanager
from functools import partial

import numpy as np
import pytest
from PIL import Image

from sqsam_deploy._internal.geometry import mask_iou
from sqsam_deploy.datasets import bundled_dataset
from sqsam_deploy.datasets.images import read_image
from sqsam_deploy.demo.folder import find_models, write_page
from sqsam_deploy.demo.server import build_folder_app
from sqsam_deploy.predictor import Predictor
from sqsam_deploy.runtimes import open_session
from sqsam_deploy.saliency import open_saliency
from tests.demo.conftest import HOSTS, encoded, served
from tests.demo.page import Page, needs_browser, start_browser

pytestmark = needs_browser

#: Whom Chromium asks on its own: for updates, the time, and its start page.
OWN_ERRANDS = r"^\w+ (http://)?[\w.]*\b(google|googleapis|gstatic|duckduckgo)\.com\b"
RUNTIME = "onnxruntime/ort.wasm.bundle.min.mjs"


@contextmanager
def at(folder, browser):
    """The page of a folder, open in a browser."""
    with served(build_folder_app(folder, HOSTS)) as port:
        yield Page(browser, f"http://127.0.0.1:{port}/")


def expect_about(page, text):
    page.wait(lambda _: text in page["about"].text)


def expect_error(page, text):
    page.wait(lambda _: page["error"].is_displayed() and text in page["error"].text)
    assert not page["photo"].is_displayed()
    assert not page["tools"].is_displayed()


def altered(folder, target, changes, about=lambda page: None):
    """A copy of a page with other files, and `page.json` as if they were the right ones."""
    shutil.copytree(folder, target)
    for name, change in changes.items():
        (target / name).write_bytes(change((target / name).read_bytes()))
    page = json.loads((target / "page.json").read_text())
    for entry in (page["runtime"]["wasm"], *(e for m in page["models"] for e in m.values())):
        if isinstance(entry, dict):
            digest = hashlib.sha256((target / entry["path"]).read_bytes()).digest()
            entry["integrity"] = f"sha256-{base64.b64encode(digest).decode()}"
    about(page)
    (target / "page.json").write_text(json.dumps(page))
    return target


def with_runtime(folder, target, script):
    """A copy of a page whose ONNX Runtime does something else when a session is made."""
    copy = altered(folder, target, {})
    real = copy / RUNTIME
    real.rename(real.with_name("real.mjs"))
    real.write_text(
        'export * from "./real.mjs";\nimport * as real from "./real.mjs";\n'
        f"export const InferenceSession = {{ async create(...given) {{ {script} }} }};\n"
    )
    return copy


class Recorder:
    """An ASGI application that notes what is asked of another one."""

    def __init__(self, app) -> None:
        self.app, self.asked, self.received = app, [], 0

    async def __call__(self, scope, receive, send):
        async def counted():
            message = await receive()
            self.received += len(message.get("body", b""))
            return message

        if scope["type"] == "http":
            self.asked.append((scope["method"], scope["path"]))
        await self.app(scope, counted, send)


@contextmanager
def proxy():
    """A proxy that notes for which host it is asked, and lets nothing through."""
    asked = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def listen():
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    asked.append(connection.recv(4096).partition(b"\r\n")[0].decode())

        threading.Thread(target=listen, daemon=True).start()
        yield listener.getsockname()[1], asked


def test_the_photo_never_leaves_the_machine(discs_folder, picture, tmp_path):
    recorder = Recorder(build_folder_app(discs_folder, HOSTS))
    with proxy() as (port, elsewhere), served(recorder) as own:
        flags = (f"--proxy-server=127.0.0.1:{port}", "--proxy-bypass-list=127.0.0.1")
        downloads = tmp_path / "downloads"
        downloads.mkdir()
        browser = start_browser(tmp_path / "profile", downloads, *flags)
        try:
            page = Page(browser, f"http://127.0.0.1:{own}/")
            expect_about(page, "works offline")
            before = len(recorder.asked)
            page.open(picture)
            page.click(60, 60)
            page.expect_status("6 on the object")
            page.cutout()
            after = recorder.asked[before:]
            # The proxy does note what a page asks of others.
            script = "fetch('http://elsewhere.example/').catch(() => 0)"
            browser.get("about:blank")
            browser.execute_script(script)
            page.wait(lambda _: any("elsewhere.example" in line for line in elsewhere))
        finally:
            browser.quit()
    assert after == []
    assert recorder.received == 0
    assert {method for method, _ in recorder.asked} == {"GET"}
    others = [line for line in elsewhere if not re.search(OWN_ERRANDS, line)]
    assert set(others) == {"GET http://elsewhere.example/ HTTP/1.1"}


def test_it_works_without_a_network_once_it_was_loaded(discs_folder, picture, browser):
    with at(discs_folder, browser) as page:
        expect_about(page, "works offline")
    browser.refresh()
    page.open(picture)
    page.click(60, 60)
    page.expect_status("6 on the object")
    page["another"].click()
    assert page.cutout()[60, 60, 3] == 255


@contextmanager
def plain_host(folder):
    """A host that sends no headers of its own."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *message):
            pass

    handler = partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as host:
        thread = threading.Thread(target=host.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{host.server_port}/"
        host.shutdown()


def test_a_host_without_headers_gets_threads_by_the_service_worker(discs_folder, picture, browser):
    with plain_host(discs_folder) as address:
        page = Page(browser, address)
        expect_about(page, " threads")
        assert browser.execute_script("return crossOriginIsolated")
        page.open(picture)


def test_without_headers_and_service_worker_it_runs_on_one_thread_and_says_so(
    discs_folder, picture, browser
):
    script = "delete Navigator.prototype.serviceWorker"
    added = browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": script})
    try:
        with plain_host(discs_folder) as address:
            page = Page(browser, address)
            expect_about(page, "one thread, as the host does not isolate the page")
            page.open(picture)
    finally:
        browser.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", added)


def test_where_threads_do_not_fit_into_memory_it_runs_on_one(
    discs_folder, picture, browser, tmp_path
):
    script = (
        "if (real.env.wasm.numThreads > 1) throw new RangeError('Out of memory');"
        "return real.InferenceSession.create(...given);"
    )
    with at(with_runtime(discs_folder, tmp_path / "page", script), browser) as page:
        expect_about(page, "one thread")
        page.open(picture)


def test_a_browser_without_enough_memory_gets_one_sentence(
    discs_folder, picture, browser, tmp_path
):
    script = "throw new Error('failed to allocate memory: std::bad_alloc');"
    with at(with_runtime(discs_folder, tmp_path / "page", script), browser) as page:
        expect_error(page, "This browser has not enough memory")
        page["file"].send_keys(str(picture))
        expect_error(page, "This browser has not enough memory")


def test_a_browser_without_simd_gets_one_sentence(discs_folder, browser):
    script = "WebAssembly.validate = () => false"
    added = browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": script})
    try:
        with at(discs_folder, browser) as page:
            expect_error(page, "WebAssembly SIMD")
    finally:
        browser.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", added)


def of_another_preset(page):
    page["models"][0]["preset"] = "paper"


def of_saliency(page):
    page["models"][0]["segmentation"] = page["models"][0]["saliency"]


@pytest.mark.parametrize(
    ("changes", "about", "sentence"),
    [
        ({"discs.onnx": lambda content: content[:-1000]}, None, "The model is cut off"),
        ({"discs.onnx": lambda content: b"<!doctype html>"}, None, "The model is no ONNX file"),
        ({}, of_another_preset, "Discs.onnx is 'nano', and the page was made for 'paper'"),
        ({}, of_saliency, "is a saliency network"),
    ],
)
def test_a_wrong_model_gets_one_sentence(discs_folder, browser, tmp_path, changes, about, sentence):
    folder = altered(discs_folder, tmp_path / "page", changes, about or (lambda page: None))
    with at(folder, browser) as page:
        expect_error(page, sentence)


def test_other_bytes_than_were_written_are_refused(discs_folder, browser, tmp_path):
    shutil.copytree(discs_folder, tmp_path / "page")
    with (tmp_path / "page" / "discs.onnx").open("ab") as file:
        file.write(b"\0")
    with at(tmp_path / "page", browser) as page:
        expect_error(page, "Discs.onnx cannot be loaded")


def test_too_large_a_photo_gets_one_sentence(discs_folder, browser, tmp_path):
    path = tmp_path / "large.png"
    path.write_bytes(encoded(Image.new("L", (9000, 6000))))
    with at(discs_folder, browser) as page:
        expect_about(page, "WebAssembly")
        page["file"].send_keys(str(path))
        expect_error(page, "9000x6000 pixels, more than 50 million")


def test_of_several_models_one_is_open_at_a_time(discs_folder, picture, browser, tmp_path):
    def twice(page):
        first = page["models"][0]
        page["models"].append({**first, "title": "the other"})

    script = (
        "const session = await real.InferenceSession.create(...given);"
        "await fetch('opened').catch(() => 0);"
        "const release = session.release.bind(session);"
        "session.release = () => fetch('released').catch(() => 0).then(release);"
        "return session;"
    )
    folder = altered(
        with_runtime(discs_folder, tmp_path / "counted", script), tmp_path / "page", {}, twice
    )
    recorder = Recorder(build_folder_app(folder, HOSTS))
    with served(recorder) as port:
        page = Page(browser, f"http://127.0.0.1:{port}/")
        page.open(picture)
        page.click(60, 60)
        page.expect_status("6 on the object")
        page["model"].find_elements("tag name", "option")[1].click()
        page.expect_status("Another model. 6 on the object")
        assert page["about"].text.startswith("the other in this browser")
        page["restart"].click()
        page.expect_status("Back to the start. 5 on the object")
    sessions = [path for _, path in recorder.asked if path in ("/opened", "/released")]
    assert sessions == ["/opened"] * 2 + ["/released"] * 2 + ["/opened"] * 2


#: Opens the page's back end once more, and returns masks as bits for the automatic start and boxes.
MASKS = """
    const [address, boxes, done] = arguments;
    const bits = (bitmap) => {
      const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
      canvas.getContext("2d").drawImage(bitmap, 0, 0);
      const { data } = canvas.getContext("2d").getImageData(0, 0, bitmap.width, bitmap.height);
      let text = "";
      for (let i = 0; i < data.length; i += 4) text += data[i] > 127 ? 1 : 0;
      return text;
    };
    (async () => {
      globalThis.made ??= await (await import("./browser.js")).start(
        await (await fetch("page.json")).json());
      const blob = new Blob([Uint8Array.from(atob(address), (c) => c.charCodeAt(0))]);
      const photo = await made.open(blob);
      const masks = [bits(photo.mask)];
      for (const box of boxes) {
        masks.push(bits((await made.mask(photo.id, { points: [], box, chosen: 0 })).mask));
      }
      return masks;
    })().then(done, (error) => done(String(error)));
"""


def test_its_masks_are_those_of_python(nano_export, browser, tmp_path):
    models = find_models(nano_export / "nano-int8.onnx", None)
    write_page(tmp_path / "page", models)
    predictor = Predictor(open_session(models[0].segmentation), open_saliency(models[0].saliency))
    ious = []
    with at(tmp_path / "page", browser) as page:
        expect_about(page, "nano int8")
        browser.set_script_timeout(60)
        for record in bundled_dataset("sample").images[:8]:
            image = read_image(record.path)
            height, width = image.shape[:2]
            boxes = [
                (0.1 * width, 0.1 * height, 0.6 * width, 0.9 * height),
                (0.4 * width, 0.3 * height, 0.9 * width, 0.8 * height),
            ]
            predictor.set_image(image)
            expected = [
                predictor.predict_auto().masks[0],
                *(predictor.predict(box=box).masks[0] for box in boxes),
            ]
            content = base64.b64encode(record.path.read_bytes()).decode()
            masks = browser.execute_async_script(MASKS, content, boxes)
            assert isinstance(masks, list), masks
            for bits, mask in zip(masks, expected, strict=True):
                found = np.frombuffer(bits.encode(), np.uint8).reshape(height, width) == ord("1")
                ious.append(mask_iou(found, mask))
    assert len(ious) == 24
    assert np.mean(ious) >= 0.99
