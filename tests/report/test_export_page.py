"""The page is whole, needs nothing else, and says what the manifest says."""

import dataclasses
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from sqsam_deploy.artifact.manifest import read_manifest, verify_files
from sqsam_deploy.pipeline.request import ExportRequest
from sqsam_deploy.pipeline.targets import Target
from sqsam_deploy.report.export import REPORT_NAME, export, export_page, step_count
from sqsam_deploy.report.export_sections import SizedArtifact, key_facts
from sqsam_deploy.runtimes.inspection import bytes_by_kind
from sqsam_deploy.runtimes.registry import all_runtimes
from tests.fakes import RecordedSteps
from tests.tiny_network import tiny_quantized

#: HTML's elements without an end tag, and SVG's shapes, which the page closes at once.
_VOID = {"meta", "img", "br", "link", "input", "hr", "wbr"}
HOSTILE = "<script>alert('x')&amp;"


class _Page(HTMLParser):
    """Reads a page strictly: what opens must close, in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.text = ""
        self.rows: list[list[str]] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in _VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_startendtag(self, tag, attrs):
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, f"</{tag}> at {self.getpos()}"

    def handle_data(self, data):
        if "style" not in self.open:
            self.text += data
            if self.open and {"td", "th"} & set(self.open):
                self.rows[-1][-1] += data.strip()


@pytest.fixture(scope="module")
def parsed(page) -> _Page:
    return _Page(page)


def test_every_element_is_closed_and_anchors_have_a_place(parsed):
    ids = [value for _, name, value in parsed.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    anchors = [v for tag, name, v in parsed.attributes if tag == "a" and name == "href"]
    assert {anchor.removeprefix("#") for anchor in anchors} <= set(ids)
    assert {"sizes", "overlays", "layers", "operators", "folding", "time", "provenance"} <= set(ids)


def test_nothing_is_fetched(page, parsed):
    tags = {tag for tag, _, _ in parsed.attributes}
    assert not tags & {"script", "link", "iframe", "object"}
    for tag, name, value in parsed.attributes:
        if name in ("src", "href", "xlink:href", "srcset"):
            assert value.startswith("#" if tag == "a" else "data:image/jpeg;base64,")
        assert not name.startswith("on")
        # A source may be quoted in the text; nothing may point to it.
        assert "://" not in (value or "")
    assert "url(" not in page and "@import" not in page


def test_sizes_and_agreement_are_the_manifests(small_export, parsed):
    rows = {row[0]: row for row in parsed.rows if len(row) == 9}
    for entry in small_export.manifest.artifacts:
        row, agreement = rows[entry.path], entry.agreement
        assert row[1:5] == [
            f"{agreement.mean_mask_iou:.4f}",
            f"{agreement.limit:g}",
            f"{agreement.min_mask_iou:.4f}",
            f"{entry.bytes / 1e6:.2f}",
        ]


def test_the_tiles_are_about_the_artifacts_of_one_network(small_export, page):
    entries = small_export.manifest.artifacts
    main = [entry for entry in entries if entry.metadata.task == "segmentation"]
    size, agreement = (
        re.split("</strong>", tile, maxsplit=1) for tile in page.split("<li><strong>")[1:3]
    )
    assert float(size[0].removesuffix(" MB")) == round(min(e.bytes for e in main) / 1e6, 2)
    lowest = min(main, key=lambda entry: entry.agreement.mean_mask_iou)
    assert agreement[0] == f"{lowest.agreement.mean_mask_iou:.4f}"
    assert lowest.path in agreement[1].replace("<wbr>", "").partition("<")[0]
    for tile in (size, agreement):
        assert f" {len(main)} segmentation artifact" in tile[1]


def test_a_saliency_network_changes_no_tile(small_export):
    manifest = small_export.manifest
    shown = [SizedArtifact(entry, (), bytes_by_kind(()), ()) for entry in manifest.artifacts]
    entry = manifest.artifacts[0]
    saliency = entry.model_copy(
        update={
            "path": "saliency-int8.onnx",
            "metadata": entry.metadata.model_copy(update={"task": "saliency"}),
            "agreement": entry.agreement.model_copy(update={"mean_mask_iou": 0.1}),
        }
    )
    more = SizedArtifact(saliency, (), bytes_by_kind(()), ())
    assert key_facts([*shown, more], [], []) == key_facts(shown, [], [])
    assert "saliency-int8.onnx" in key_facts([more], [], [])[0].meaning


def test_bytes_by_kind_add_up_on_the_page(small_export, parsed):
    rows = {row[0]: row for row in parsed.rows if len(row) == 7 and row[0].startswith("tiny")}
    for entry in small_export.manifest.artifacts:
        *kinds, total = (int(cell.replace(",", "")) for cell in rows[entry.path][1:])
        assert sum(kinds) == total == entry.bytes


def test_the_worst_layers_are_those_of_the_json_report(parsed):
    layers = json.loads(tiny_quantized().to_json())["layers"]
    rows = [row for row in parsed.rows if re.match(r"\d+\. ", row[0])]
    assert len(rows) == 10
    for row, layer in zip(rows, layers, strict=False):
        assert row[0].endswith(layer["name"])
        assert row[2] == f"{layer['snr_db']:.1f}"
        assert row[6] == str(layer["zero_point"])


def test_shares_of_time_add_up(page):
    for card in page.split('<section id="time">')[1].split('class="card"')[1:]:
        shares = [float(share) for share in re.findall(r"<td>([\d.]+)%</td>", card)]
        assert len(shares) >= 3
        assert sum(shares) == pytest.approx(100, abs=0.6)
    assert "shares only" in page and " ms" not in page


def test_names_are_shown_as_text(small_export):
    manifest, evidence = small_export.manifest, small_export.evidence
    weights = manifest.weights.model_copy(update={"name": HOSTILE, "license": HOSTILE})
    records = [
        dataclasses.replace(p.record, path=_Renamed(p.record.path), id=p.record.id)
        for p in evidence.probes
    ]
    probes = [
        dataclasses.replace(p, record=r) for p, r in zip(evidence.probes, records, strict=True)
    ]
    page = export_page(
        small_export.directory,
        manifest.model_copy(update={"weights": weights, "git_revision": HOSTILE}),
        dataclasses.replace(evidence, probes=probes),
    )
    assert "<script" not in page
    assert _Page(page).text.count(HOSTILE) >= 5


class _Renamed(type(Path())):
    """A photo that somebody gave a name that is HTML."""

    @property
    def name(self) -> str:
        return HOSTILE


def test_a_runtime_without_its_profiler_has_a_report_all_the_same(small_export, monkeypatch):
    # The installed libraries have theirs; builds of ExecuTorch without one fail like this.
    def fail(*arguments):
        raise RuntimeError("built without the event tracer")

    for runtime in all_runtimes():
        monkeypatch.setattr(type(runtime), "profile", fail)
    page = _Page(export_page(small_export.directory, small_export.manifest, small_export.evidence))
    assert "No artifact of this export has a profiler" in page.text


def test_an_export_without_int8_is_explained_too(tmp_path):
    request = ExportRequest(
        (Target("onnx", "fp32"),), tmp_path / "out", checkpoint="nano", with_saliency=False
    )
    told = RecordedSteps()
    export(request, told)
    assert len(told.begun) == step_count(request)
    page = _Page((tmp_path / "out" / REPORT_NAME).read_text())
    assert "nano-fp32.onnx: IoU 1.000" in page.text
    assert "Kept in float" not in page.text
    # The page differs from run to run, so it is no part of what the manifest vouches for.
    manifest = read_manifest(tmp_path / "out")
    assert REPORT_NAME not in [entry.path for entry in manifest.all_files()]
    verify_files(tmp_path / "out", manifest)
