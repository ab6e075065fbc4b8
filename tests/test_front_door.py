"""The names of `import sqsam_deploy`; `test_documents.py` runs the examples of docs/api.md."""

import subprocess
import sys
from pathlib import Path

import pytest

import sqsam_deploy
from sqsam_deploy import ExportRequest, ParityRequest, load_checkpoint, open_session
from sqsam_deploy.checkpoint import bundled_checkpoint
from sqsam_deploy.version import __version__


def test_every_name_is_there_and_none_is_loaded_before_it_is_used() -> None:
    code = (
        "import sys, sqsam_deploy\n"
        "loaded = {'torch', 'numpy', 'pydantic', 'cyclopts'} & set(sys.modules)\n"
        "assert not loaded, loaded\n"
        "assert set(sqsam_deploy.__all__) <= set(dir(sqsam_deploy))\n"
        "from sqsam_deploy import *\n"
        "print(sorted(name for name in sqsam_deploy.__all__ if name not in globals()))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"
    assert sqsam_deploy.__version__ == __version__


def test_a_name_that_does_not_exist_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nothing"):
        sqsam_deploy.nothing  # noqa: B018


def test_paths_may_be_text(tmp_path: Path) -> None:
    assert ExportRequest(output="out", checkpoint="w.pt").output == Path("out")
    assert ParityRequest("a", baseline=str(tmp_path)).baseline == tmp_path
    weights = str(bundled_checkpoint("nano"))
    assert load_checkpoint(weights).sha256 == load_checkpoint(Path(weights)).sha256
    assert open_session(weights).metadata.runtime == "torch"
