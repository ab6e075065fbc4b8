import subprocess
import sys
from pathlib import Path

import pytest

CHECK = Path(__file__).parents[2] / "android_harness" / "check" / "check.py"


@pytest.fixture(scope="session")
def android_classes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Classes of everything, from a check that passed, and what the check said in `said`."""
    work = tmp_path_factory.mktemp("android")
    done = subprocess.run(
        [sys.executable, str(CHECK), "--work", str(work)], capture_output=True, text=True
    )
    if done.returncode == 3:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    (work / "said").write_text(done.stdout)
    return work
