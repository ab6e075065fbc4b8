"""An artifact in headless Chromium beside native ONNX Runtime, in turns in one run.

    python benchmarks/web.py artifacts/nano-int8.onnx

Prints how the masks agree with Python's on the bundled sample (the automatic start, and each
object's box), milliseconds of one prediction (prompt drawn, packed, run), the memory of the
browser's processes, and what a visitor downloads. Needs Chromium, its driver, Selenium and npm.
"""

import argparse
import base64
import gzip
import json
import os
import shutil
import statistics
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

from sqsam_deploy._internal.geometry import mask_iou
from sqsam_deploy.datasets import bundled_dataset
from sqsam_deploy.datasets.images import read_image
from sqsam_deploy.demo.folder import WebModel, find_models, write_page
from sqsam_deploy.demo.server import EXAMPLE, build_folder_app
from sqsam_deploy.demo.serving import listen, make_server
from sqsam_deploy.predictor import Predictor
from sqsam_deploy.prompts import Prompt
from sqsam_deploy.runtimes import open_session
from sqsam_deploy.saliency import open_saliency

_FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage")
_CLICK = (320.0, 240.0)
_OPEN = """
    const [threads, model, saliency, done] = arguments;
    (async () => {
      const begun = performance.now();
      const ort = await import("./onnxruntime/ort.wasm.bundle.min.mjs");
      const { Prompt, Segmenter } = await import("./squeezesam.js");
      ort.env.wasm.numThreads = threads;
      const bytes = async (path) => new Uint8Array(await (await fetch(path)).arrayBuffer());
      const files = { model: await bytes(model), saliency: await bytes(saliency) };
      const segmenter = await Segmenter.open(ort, files);
      const imageOf = async (blob) => {
        const bitmap = await createImageBitmap(blob);
        const pen = new OffscreenCanvas(bitmap.width, bitmap.height).getContext("2d");
        pen.drawImage(bitmap, 0, 0);
        return segmenter.image(pen.getImageData(0, 0, bitmap.width, bitmap.height));
      };
      const image = await imageOf(await (await fetch("example.jpg")).blob());
      const prompt = new Prompt().withClick(320, 240);
      globalThis.maskOf = async (photo, box) => {
        const content = Uint8Array.from(atob(photo), (character) => character.charCodeAt(0));
        const image = await imageOf(new Blob([content]));
        const mask = await image.mask(box ? new Prompt([], box) : null);
        return mask.data.join("");
      };
      globalThis.many = async (count) => {
        const start = performance.now();
        for (let i = 0; i < count; i++) await image.predict(prompt);
        return performance.now() - start;
      };
      globalThis.release = () => segmenter.release();
      await many(1);
      return performance.now() - begun;
    })().then(done, (error) => done(String(error)));
"""
_MASK = "const done = arguments[2]; maskOf(...arguments).then(done, (e) => done(String(e)));"
_RELEASE = "const done = arguments[0]; release().then(done, (error) => done(String(error)));"
_MANY = "const done = arguments[1]; many(arguments[0]).then(done, (e) => done(String(e)));"

#: Seconds of one prediction: elapsed, and of the processor.
_Run = tuple[float, float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("artifact", type=Path)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--count", type=int, default=10, help="predictions of a round")
    parser.add_argument("--photos", type=int, default=63, help="of the sample, for the agreement")
    parser.add_argument("--threads", type=int, nargs="*", default=[1, 2])
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "page"
        models = find_models(arguments.artifact, None)[:1]
        write_page(folder, models)
        listener = listen("127.0.0.1", 0)
        server = make_server(build_folder_app(folder, ["127.0.0.1"]))
        threading.Thread(target=server.run, args=([listener],), daemon=True).start()
        address = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        (model,) = models
        if arguments.photos:
            _print_agreement(model, address, arguments.photos)
        for threads in arguments.threads:
            _compare(model, address, threads, arguments.rounds, arguments.count)
        _print_sizes(folder)
        server.should_exit = True


def _print_agreement(model: WebModel, address: str, photos: int) -> None:
    predictor = Predictor(open_session(model.segmentation, 2), open_saliency(model.saliency, 2))
    kinds: dict[str, list[float]] = {"automatic start": [], "box": []}
    browser = _start_browser(address)
    try:
        browser.execute_async_script(_OPEN, 2, model.segmentation.name, model.saliency.name)
        for record in bundled_dataset("sample").images[:photos]:
            content = base64.b64encode(record.path.read_bytes()).decode()
            predictor.set_image(read_image(record.path))
            for box in (None, *(tuple(map(float, each.box)) for each in record.objects)):
                bits = browser.execute_async_script(_MASK, content, box)
                found = predictor.predict(box=box) if box else predictor.predict_auto()
                mask = found.masks[0]
                values = np.frombuffer(bits.encode(), np.uint8).reshape(mask.shape) == ord("1")
                kinds["box" if box else "automatic start"].append(mask_iou(values, mask))
    finally:
        browser.quit()
    for kind, ious in kinds.items():
        print(
            f"{model.segmentation.name}, {kind}: {len(ious)} masks, mean IoU with Python's "
            f"{np.mean(ious):.4f}, lowest {min(ious):.4f}"
        )


def _compare(model: WebModel, address: str, threads: int, rounds: int, count: int) -> None:
    predictor = Predictor(open_session(model.segmentation, threads))
    predictor.set_image(read_image(EXAMPLE))
    prompt = Prompt().with_click(*_CLICK, 1)
    browser = _start_browser(address)
    names = model.segmentation.name, model.saliency.name
    try:
        before = _memory(browser)
        opened = browser.execute_async_script(_OPEN, threads, *names)
        assert isinstance(opened, float | int), opened
        memory = _memory(browser) - before
        runs: list[tuple[_Run, _Run]] = []
        for _ in range(rounds):
            run = _in_browser(browser, count)
            start, cpu = time.perf_counter(), time.process_time()
            for _ in range(count):
                predictor.predict_low_res(prompt)
            native = (time.perf_counter() - start) / count, (time.process_time() - cpu) / count
            runs.append((run, native))
        browser.execute_async_script(_RELEASE)
        released = _memory(browser) - before
    finally:
        browser.quit()
    print(
        f"{names[0]}, {threads} threads: opened in {opened / 1e3:.2f} s, {memory >> 20} MB more, "
        f"{released >> 20} MB after release(); load {os.getloadavg()[0]:.1f}"
    )
    for kind, place in (("elapsed", 0), ("processor time", 1)):
        pairs = [(run[place], native[place]) for run, native in runs[1:]]
        browser_ms, native_ms = (statistics.median(side) * 1e3 for side in zip(*pairs, strict=True))
        ratio = statistics.median(a / b for a, b in pairs)
        print(f"  {kind}: browser {browser_ms:.1f} ms, native {native_ms:.1f}, ratio {ratio:.2f}")


def _in_browser(browser: Any, count: int) -> _Run:
    before = _processor_seconds(browser)
    elapsed = browser.execute_async_script(_MANY, count)
    return elapsed / 1e3 / count, (_processor_seconds(browser) - before) / count


def _start_browser(address: str) -> Any:
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or "chromium"
    for flag in _FLAGS:
        options.add_argument(flag)
    browser = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    browser.set_script_timeout(300)
    browser.get(address + "style.css")  # the page's origin and headers, without the page
    return browser


def _memory(browser: Any) -> int:
    """Bytes of the browser's processes, shared pages by their share."""
    return sum(_resident(process) for process in _processes(browser))


def _processor_seconds(browser: Any) -> float:
    """Processor time of the browser's processes, in ticks of 10 ms."""
    ticks = sum(int(value) for process in _processes(browser) for value in _stat(process)[11:13])
    return ticks / os.sysconf("SC_CLK_TCK")


def _processes(browser: Any) -> set[int]:
    """The driver's process and all below it."""
    numbers = [int(entry.name) for entry in Path("/proc").glob("[0-9]*")]
    parents = {process: int(stat[1]) for process in numbers if (stat := _stat(process))}
    mine = {browser.service.process.pid}
    while more := {child for child, parent in parents.items() if parent in mine} - mine:
        mine |= more
    return mine


def _stat(process: int) -> list[str]:
    """Fields of proc(5)'s stat behind the name; none of a process that has ended."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _resident(process: int) -> int:
    try:
        text = Path(f"/proc/{process}/smaps_rollup").read_text()
    except OSError:
        return 0
    return sum(int(line.split()[1]) << 10 for line in text.splitlines() if line.startswith("Pss:"))


def _print_sizes(folder: Path) -> None:
    about = json.loads((folder / "page.json").read_text())
    unseen = ("package.json", "squeezesam.d.ts", "example.jpg")
    total = [0, 0]
    for name in about["files"]:
        content = (folder / name).read_bytes()
        packed = len(gzip.compress(content, 9))
        if name not in unseen:
            total = [total[0] + len(content), total[1] + packed]
        print(f"{name}: {len(content) / 1e6:.2f} MB, gzip {packed / 1e6:.2f} MB")
    print(f"a visitor downloads {total[0] / 1e6:.2f} MB, gzip {total[1] / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
