"""The scripts in `benchmarks/` start: whatever of the package they use is still there."""

import runpy
import sys
from pathlib import Path

import pytest

SCRIPTS = sorted((Path(__file__).parents[2] / "benchmarks").rglob("*.py"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_explains_its_options(
    script: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # A script finds its neighbors beside itself, and other tests have neighbors of their own.
    monkeypatch.setattr(sys, "path", [str(script.parent), *sys.path])
    for name in [path.stem for path in SCRIPTS]:
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setattr(sys, "argv", [str(script), "--help"])
    if "argparse" not in script.read_text(encoding="utf-8"):
        assert runpy.run_path(str(script))  # A module of the others.
        return
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(script), run_name="__main__")
    assert ended.value.code == 0
    assert f"usage: {script.name}" in capsys.readouterr().out
