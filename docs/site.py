"""Builds the documents as a site, strictly and without a network: `make docs`.

The pages lie where people read them on GitHub, in several folders. They are gathered with the same
relative paths, so that one and the same link works in both places, together with every file that
they link to; a link to a file that is not there ends the build.

    python docs/site.py [--output build]
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = (
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "benchmarks/README.md",
    "docs/*.md",
    "export/README.md",
    "ios_harness/README.md",
    "sqsam_deploy/checkpoint/bundled/*.md",
)
#: The target of a Markdown link or picture, without its anchor.
LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)(#[^)\s]*)?\)")
CODE = re.compile(r"^```.*?^```|`[^`\n]*`", re.MULTILINE | re.DOTALL)


def gather(root: Path, target: Path) -> list[str]:
    """Copies pages and what they link to; returns a sentence for each link that leads nowhere."""
    shutil.rmtree(target, ignore_errors=True)
    pages = [page for pattern in PAGES for page in sorted(root.glob(pattern))]
    broken = []
    for page in pages:
        for linked in links(page):
            file = (page.parent / linked).resolve()
            if not file.is_file() or root not in file.parents:
                broken.append(f"{page.relative_to(root)}: {linked} is no file of the project")
            elif file not in pages:
                copy(file, root, target)
        copy(page, root, target)
    # The front page of the site is the README.
    (target / "README.md").rename(target / "index.md")
    for page in target.rglob("*.md"):
        text = page.read_text("utf-8")
        up = "../" * (len(page.relative_to(target).parts) - 1)
        page.write_text(text.replace(f"]({up}README.md", f"]({up}index.md"), "utf-8")
    return broken


def links(page: Path) -> Iterator[str]:
    """Relative targets of a page's links, outside code."""
    for found in LINK.finditer(CODE.sub("", page.read_text("utf-8"))):
        yield found[1]


def copy(file: Path, root: Path, target: Path) -> None:
    """Into the same place below another root."""
    place = target / file.relative_to(root)
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file, place)


def main() -> None:
    """Gathers and builds; ends with an error where a link or a page is broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=ROOT / "build")
    output = parser.parse_args().output
    broken = gather(ROOT, output / "site-pages")
    if broken:
        sys.exit("\n".join(broken))
    copy(ROOT / "docs" / "site.css", ROOT, output / "site-pages")
    config = output / "zensical.toml"
    shutil.copyfile(ROOT / "docs" / "zensical.toml", config)
    command = [sys.executable, "-m", "zensical", "build", "--strict", "--clean", "-f", str(config)]
    found = subprocess.run(command, cwd=output, env={**os.environ, "PYTHONPATH": str(ROOT)})
    if found.returncode:
        sys.exit(found.returncode)
    print(output / "site" / "index.html")


if __name__ == "__main__":
    main()
