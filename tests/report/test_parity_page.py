"""The HTML report stands alone and shows what was lost."""

import base64
import io
import os
import pickle
import re
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from sqsam_deploy.evaluation.gate import DriftLimits
from sqsam_deploy.evaluation.runner import run_plan
from sqsam_deploy.evaluation.summary import Settings, collect, summarize
from sqsam_deploy.evaluation.worst_cases import worst_objects
from sqsam_deploy.report.parity import html
from sqsam_deploy.report.parity_drawings import pictures


@pytest.fixture
def evaluated(plan, small_dataset, tmp_path):
    run = run_plan(plan, small_dataset, tmp_path)
    report = summarize(plan, small_dataset, run.images, Settings(DriftLimits(), seed=0))
    objects = collect(plan, run.images).objects
    return report, list(worst_objects(plan, small_dataset, objects, shown=3)), objects


def test_the_worst_objects_are_those_with_the_largest_drift(evaluated):
    _, cases, objects = evaluated
    drifts = {}
    for before, after in zip(objects["float"], objects["int8"], strict=True):
        key = (after.image, after.object)
        drifts[key] = max(drifts.get(key, -np.inf), 100 * (before.iou - after.iou))
    expected = sorted(drifts.values(), reverse=True)[:3]
    assert [case.pair.drift for case in cases] == pytest.approx(expected)


def test_a_worst_case_is_predicted_as_it_was_evaluated(evaluated):
    for case in evaluated[1]:
        for mask, result in (
            (case.before, case.pair.before),
            (case.after, case.pair.after),
        ):
            union = (mask | case.truth).sum()
            assert (mask & case.truth).sum() / union == pytest.approx(result.iou)


def test_heading_and_first_sentence_count_the_same_artifacts(evaluated):
    report = evaluated[0]
    page = html(report, ())
    heading = re.search(r"<h1>.*</span> (.*)</h1>", page)[1]
    compared = [name for name, found in report.artifacts.items() if found.gates]
    references = {found.reference for found in report.artifacts.values()}
    assert re.search(r"\d+", heading)[0] == str(len(compared))
    assert f": {len(compared)} artifact" in page.partition("<h1>")[2].partition("<p>")[2]
    assert all(name in heading for name in references)
    assert not references & set(compared)


def test_pictures_show_the_same_part_of_the_photo(evaluated):
    shown = pictures(evaluated[1][0]).pictures
    captions = [picture.caption.split(":")[0] for picture in shown]
    assert captions == ["prompt", "truth", "float", "int8", "difference"]
    sizes = {_decode(picture.address).size for picture in shown}
    assert len(sizes) == 1
    assert max(sizes.pop()) <= 220


def test_what_was_lost_is_red_in_the_difference(evaluated):
    case = evaluated[1][0]
    lost = (case.before & ~case.after).sum()
    assert lost > 0
    pixels = np.asarray(_decode(pictures(case).pictures[-1].address)).astype(int)
    reddish = (pixels[..., 0] - pixels[..., 2] > 60).mean()
    assert reddish > 0.005


def test_the_page_needs_no_other_file(evaluated):
    report, cases, _ = evaluated
    page = html(report, cases)
    addresses = _Addresses()
    addresses.feed(page)
    assert len(addresses.found) == 5 * len(cases)
    assert all(address.startswith("data:image/jpeg;base64,") for address in addresses.found)
    assert not re.search(r"url\((?!#)", page)
    assert "<svg" in page
    assert report.artifacts["int8"].sha256 in page


def test_the_same_report_gives_the_same_page_whatever_the_hash_seed(evaluated, tmp_path):
    report, cases, _ = evaluated
    (tmp_path / "report").write_bytes(pickle.dumps((report, cases)))
    script = (
        "import pickle, sys\n"
        "from pathlib import Path\n"
        "from sqsam_deploy.report.parity import html\n"
        "report, cases = pickle.loads(Path(sys.argv[1]).read_bytes())\n"
        "Path(sys.argv[2]).write_bytes(html(report, cases).encode())\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "report"), str(tmp_path / "page")]
    subprocess.run(command, check=True, env={**os.environ, "PYTHONHASHSEED": "1"})
    assert (tmp_path / "page").read_bytes() == html(report, cases).encode()


def test_names_are_escaped(evaluated):
    report, _, _ = evaluated
    named = report.dataset.model_copy(update={"name": "<script>alert(1)</script>"})
    page = html(report.model_copy(update={"dataset": named}), [])
    assert "<script>" not in page


class _Addresses(HTMLParser):
    """Everything a browser would fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag, attrs) -> None:
        named = dict(attrs)
        if tag in ("img", "script", "iframe", "source"):
            self.found += [named["src"]] if "src" in named else []
        if tag == "link":
            self.found.append(named["href"])


def _decode(address: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(address.split(",")[1])))
