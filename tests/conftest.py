import os
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

from sqsam_deploy._internal.terminal import show_notices
from tests.commands import run_process

SHARED = Path(__file__).parents[2] / "shared"


#: Fixtures that export, lower, train or start a server: a test with one of them is slow.
SLOW_FIXTURES = {
    *("nano_export", "exported", "small_export", "page", "in_turn", "built", "tiny_artifact"),
    *("moto_url", "http_server", "browser", "finished", "int8_onnx", "node_packages"),
    "android_classes",
}
#: Files whose tests do so themselves.
SLOW_FILES = (
    "_internal/upstream/test_lowering",
    "benchmark/test_measure",
    "benchmark/test_profiling",
    "benchmark/test_roofline",
    "benchmark/test_subjects",
    "cli/test_demo",
    "cli/test_export",
    "cli/test_inspect",
    "cli/test_parity",
    "cli/test_predict",
    "cli/test_pull",
    "demo/test_page",
    "evaluation/test_broken_artifacts",
    "evaluation/test_ray_cluster",
    "evaluation/test_runner",
    "evaluation/test_whole_job",
    "folding/test_fold",
    "pipeline/test_export",
    "pipeline/test_rebuild",
    "quantization/",
    "release/test_crashes",
    "release/test_full_disk",
    "release/test_hostile_store",
    "release/test_parallel_publishers",
    "release/test_pull_release",
    "runtimes/",
    "saliency/test_programs",
    "test_documents",
    "test_earlier_files",
    "test_site",
    "training/test_cli",
    "training/test_growth",
    "training/test_stages",
    "training/test_trainer",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks what `make quick` leaves out."""
    for item in items:
        file = item.path.relative_to(Path(__file__).parent).as_posix()
        fixtures = set(getattr(item, "fixturenames", ()))
        if file.startswith(SLOW_FILES) or fixtures & SLOW_FIXTURES:
            item.add_marker(pytest.mark.slow)


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
def common(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory for what is made once a session, by whichever process that tests needs it first.

    pytest-xdist's processes have their own session each, below one directory.
    """
    folder = tmp_path_factory.getbasetemp()
    common = (folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder) / "common"
    common.mkdir(exist_ok=True)
    return common


@pytest.fixture(scope="session")
def nano_export(common: Path) -> Path:
    """`nano` and its saliency network as int8 artifacts for three runtimes."""
    output = common / "nano-export"
    with FileLock(common / "nano-export.lock"):
        if not output.exists():
            done = run_process("export", "--checkpoint", "nano", "--int8", "-o", output)
            assert done.returncode == 0, done.stderr
    return output


@pytest.fixture(scope="session")
def tiny_artifact(common: Path) -> Callable[[str], Path]:
    """One of `tests.tiny_network.TINY_ARTIFACTS` by its name, to be read only."""

    def made(name: str) -> Path:
        from tests.tiny_network import lower_tiny

        with FileLock(common / f"{name}.lock"):
            if not (common / name).exists():
                lower_tiny(name, common / "making").rename(common / name)
        return common / name

    (common / "making").mkdir(exist_ok=True)
    return made
