"""The documents as a site: every link leads somewhere, and nothing comes from the network."""

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
_spec = importlib.util.spec_from_file_location("site_builder", ROOT / "docs" / "site.py")
builder = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(builder)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    pytest.importorskip("zensical", reason="the extra docs is not installed")
    output = tmp_path_factory.mktemp("documents")
    command = [sys.executable, str(ROOT / "docs" / "site.py"), "--output", str(output)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return output / "site"


def test_every_document_is_a_page_of_the_navigation(site):
    front = (site / "index.html").read_text("utf-8")
    for document in (ROOT / "docs").glob("*.md"):
        assert f"docs/{document.stem}.html" in front
    for reader in ("ML engineer", "CI engineer", "App developer", "Contributor"):
        assert reader in front


def test_pages_load_nothing_from_elsewhere(site):
    loading = re.compile(r"<(?:script|img|iframe|link)[^>]+(?:src|href)=[\"'](https?:)?//", re.I)
    pages = list(site.rglob("*.html"))
    assert len(pages) > 20
    for page in pages:
        assert not loading.search(page.read_text("utf-8")), page
    for style in site.rglob("*.css"):
        assert not re.search(r"(@import|url\()\s*[\"']?(https?:)?//", style.read_text("utf-8"))


def test_the_search_finds_sentences_of_the_documents(site):
    indexed = json.dumps(json.loads((site / "search.json").read_text("utf-8")))
    for document in ("quantization", "parity", "releases"):
        heading = re.search(r"^## (.*)$", (ROOT / f"docs/{document}.md").read_text("utf-8"), re.M)
        assert heading[1] in indexed


def test_the_reference_is_made_from_docstrings(site):
    from sqsam_deploy import Predictor

    page = (site / "docs" / "reference.html").read_text("utf-8")
    first = Predictor.predict.__doc__.splitlines()[0]
    assert first.split(";")[0] in page


def test_links_that_lead_nowhere_are_named(tmp_path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "README.md").write_text("[a](docs/a.md) [b](docs/b.md#c) `[x](y)` [w](https://w)")
    (tmp_path / "docs" / "a.md").write_text("[up](../README.md) [out](../../out.md) ![p](p.png)")
    (tmp_path / "docs" / "p.png").write_bytes(b"picture")
    broken = builder.gather(tmp_path, tmp_path / "pages")
    assert [sentence.split(" is ")[0] for sentence in broken] == [
        "README.md: docs/b.md",
        "docs/a.md: ../../out.md",
    ]
    assert (tmp_path / "pages" / "docs" / "p.png").read_bytes() == b"picture"
    assert "](../index.md)" in (tmp_path / "pages" / "docs" / "a.md").read_text()


def test_no_item_of_a_list_is_in_the_paragraph_before_it(site):
    """What GitHub takes for the next item, Markdown takes for a line of a paragraph."""
    joined = re.compile(r"<(p|li)>((?!</?(p|li|pre|table)\b).)*?\n(\d+\.|[-*]) ", re.S)
    for page in site.rglob("*.html"):
        found = joined.search(page.read_text("utf-8"))
        assert not found, f"{page.relative_to(site)}: {found[0][-100:]}"


def test_the_site_is_dark_where_the_system_is(site):
    front = (site / "index.html").read_text("utf-8")
    media = re.findall(r'data-md-color-media="([^"]*)"\s+data-md-color-scheme="([^"]*)"', front)
    assert media[0][0] == "(prefers-color-scheme)"
    assert ("(prefers-color-scheme: dark)", "slate") in media
