import shutil
import subprocess
from pathlib import Path

import pytest
from filelock import FileLock

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def node_packages(common: Path) -> Path:
    """A folder with the npm packages of package-lock.json."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not installed")
    folder = common / "node"
    with FileLock(common / "node.lock"):
        if not (folder / "node_modules").is_dir():
            folder.mkdir(exist_ok=True)
            for name in ("package.json", "package-lock.json", ".npmrc"):
                shutil.copyfile(HERE / name, folder / name)
            command = [npm, "ci", "--prefer-offline", "--no-progress"]
            subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=600)
    return folder
