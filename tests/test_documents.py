"""Every command and every Python snippet of the documents runs as it stands.

A fence says what it holds. `sh` and `python` run, in an empty directory that looks like a fresh
clone after `make export`; `<!-- not run: REASON -->` on the line before a fence excuses it.
"""

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cli.test_output import VERBS
from tests.forks import Forks

ROOT = Path(__file__).parents[1]
DOCUMENTS = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md")),
    *sorted((ROOT / "docs").glob("*.md")),
    *(ROOT / name for name in ("ios_harness/README.md", "export/README.md")),
]
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
_EXCUSE = re.compile(r"<!-- not run: (.+) -->\n$")

#: `sqsam-NAME` as it is installed.
_COMMAND = '#!/bin/sh\nexec {command} "$@"{more}\n'
#: Checks the options, and then brings the session's export of `nano` in place of a new one.
_EXPORT = """#!/bin/sh
output=artifacts; before=
for word; do
    case $word in --list-recipes) exec "{bin}/real-export" "$@";; esac
    case $before in -o|--output) output=$word;; esac
    before=$word
done
"{bin}/real-export" "$@" --dry-run
rm -rf "$output"
cp -r "{export}" "$output"
case " $* " in *" nano "*) exit;; esac
cd "$output"
for file in nano-*; do ln -s "$file" "paper${{file#nano}}"; done
"""
#: The last one of equal options counts: few photos are enough to see that a command works.
_MORE = {"parity": " --count 4 --prompts box --jobs 1 --max-drift 50 --min-agreement 0"}


@dataclass(frozen=True)
class Block:
    """A fence of a document."""

    document: Path
    line: int
    language: str
    text: str
    excuse: str | None


def _blocks(document: Path) -> list[Block]:
    content = document.read_text(encoding="utf-8")
    found = []
    for fence in _FENCE.finditer(content):
        excuse = _EXCUSE.search(content[: fence.start()])
        line = content.count("\n", 0, fence.start()) + 1
        reason = excuse[1] if excuse else None
        found.append(Block(document, line, fence[1], fence[2], reason))
    return found


def _to_run(document: Path) -> list[Block]:
    return [b for b in _blocks(document) if b.language in ("sh", "python") and b.excuse is None]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_fence_says_what_it_holds(document: Path) -> None:
    content = document.read_text(encoding="utf-8")
    assert content.count("\n```") + content.startswith("```") == 2 * len(_blocks(document))
    assert not [block.line for block in _blocks(document) if not block.language]
    assert not [
        block.line
        for block in _blocks(document)
        if block.language not in ("sh", "python")
        and re.search(r"^(\$ )?sqsam-\w+ ", block.text, re.M)
    ]


@pytest.fixture(scope="module")
def forks() -> Iterator[Forks]:
    with Forks() as forks:
        yield forks


@pytest.fixture(scope="module")
def clone(nano_export: Path, forks: Forks, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh clone, its commands in `.venv`, a photo and an export of `nano`.

    Where a document exports `paper`, the artifacts of `nano` have its names too.
    """
    clone = tmp_path_factory.mktemp("clone")
    for name in ("sqsam_deploy", "export", "docs", "Makefile", "constraints.txt", "pyproject.toml"):
        (clone / name).symlink_to(ROOT / name)
    shutil.copytree(nano_export, clone / "artifacts")
    shutil.copyfile(
        ROOT / "sqsam_deploy/datasets/bundled/sample/coco_000000565778.jpg", clone / "photo.jpg"
    )
    folder = clone / ".venv" / "bin"
    folder.mkdir(parents=True)
    for verb in VERBS:
        command = shlex.join(forks.command(verb))
        text = _COMMAND.format(command=command, more=_MORE.get(verb, ""))
        _write_script(folder / f"sqsam-{verb}", text)
    (folder / "sqsam-export").rename(folder / "real-export")
    _write_script(folder / "sqsam-export", _EXPORT.format(bin=folder, export=nano_export))
    # The clone's own make finds it installed.
    (clone / ".venv" / ".installed").touch()
    return clone


def _write_script(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


@pytest.mark.parametrize(
    "document", [d for d in DOCUMENTS if _to_run(d)], ids=lambda path: path.name
)
def test_what_a_document_shows_runs(
    document: Path, clone: Path, forks: Forks, tmp_path: Path
) -> None:
    shutil.copytree(clone, tmp_path / "here", symlinks=True)
    environment = {
        **os.environ,
        "PATH": f"{clone / '.venv' / 'bin'}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "SQSAM_CACHE": str(tmp_path / "cache"),
    }
    blocks = _to_run(document)
    python = "\n".join(block.text for block in blocks if block.language == "python")
    scripts = [(f"line {b.line}", ["bash", "-euc", b.text]) for b in blocks if b.language == "sh"]
    if python:
        scripts.append(("Python", [*forks.command("python"), python]))
    for where, command in scripts:
        done = subprocess.run(
            command,
            cwd=tmp_path / "here",
            env=environment,
            capture_output=True,
            text=True,
            timeout=600,
        )
        assert done.returncode == 0, f"{document.name}, {where}:\n{done.stdout}\n{done.stderr}"
