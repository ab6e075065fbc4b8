"""The names of `import sqsam_deploy`, and the example; `test_documents.py` runs docs/api.md."""

import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import sqsam_deploy
from sqsam_deploy import ExportRequest, ParityRequest, load_checkpoint, open_session
from sqsam_deploy.checkpoint import bundled_checkpoint
from sqsam_deploy.datasets import bundled_dataset
from sqsam_deploy.version import __version__

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.mark.slow
def test_every_name_is_there_and_none_is_loaded_before_it_is_used() -> None:
    code = (
        "import sys, sqsam_deploy\n"
        "loaded = {'torch', 'numpy', 'pydantic', 'cyclopts'} & set(sys.modules)\n"
        "assert not loaded, loaded\n"
        "assert set(sqsam_deploy.__all__) <= set(dir(sqsam_deploy))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    names: dict[str, object] = {}
    exec("from sqsam_deploy import *", names)
    assert set(sqsam_deploy.__all__) <= set(names)
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


@pytest.mark.parametrize("clicks", [(), ("--remove", "2,2")])
def test_the_example_cuts_an_object_out(
    clicks: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    record = next(iter(bundled_dataset("sample")))
    truth = max(record.objects, key=lambda item: item.area).mask()
    words = (record.path, tmp_path / "out.png", "--artifact", bundled_checkpoint("nano"), *clicks)
    monkeypatch.setattr(sys, "argv", ["cut_out.py", *map(str, words)])
    runpy.run_path(str(EXAMPLES / "cut_out.py"), run_name="__main__")
    mask = np.asarray(Image.open(tmp_path / "out.png"))[..., 3] > 127
    assert np.count_nonzero(mask & truth) / np.count_nonzero(mask | truth) > 0.5
