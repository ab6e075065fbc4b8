from pathlib import Path

import pytest

from sqsam_deploy._internal.terminal import show_notices
from tests.commands import run_process

SHARED = Path(__file__).parents[2] / "shared"


@pytest.fixture(autouse=True)
def notices_on_stderr() -> None:
    """Notices go where a command shows them, whatever handlers a library has installed since."""
    show_notices()


@pytest.fixture(scope="session")
def shared() -> Path:
    """Golden outputs and images that are kept beside the checkout."""
    if not SHARED.is_dir():
        pytest.skip(f"{SHARED.name}/ is not beside the checkout: golden outputs and images missing")
    return SHARED


@pytest.fixture(scope="session")
def nano_export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`nano` and its saliency network as int8 artifacts for three runtimes, made once a session."""
    output = tmp_path_factory.mktemp("export") / "artifacts"
    done = run_process("export", "--checkpoint", "nano", "--int8", "-o", output)
    assert done.code == 0, done.stderr
    return output
