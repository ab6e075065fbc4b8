import gc
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from sqsam_deploy._internal.terminal import show_notices
from tests.commands import run_process

SHARED = Path(__file__).parents[2] / "shared"
TESTS = Path(__file__).parent

if "PYTEST_XDIST_WORKER" in os.environ:
    # Every core has a worker: threads of torch beside them would only wait for each other.
    os.environ.setdefault("OMP_NUM_THREADS", "1")


#: Fixtures that export, lower, train or start a server: a test with one of them is slow.
SLOW_FIXTURES = {
    *("nano_export", "exported", "small_export", "page", "built", "tiny_artifact"),
    *("moto_url", "http_server", "browser", "finished", "int8_onnx", "node_packages"),
    *("android_classes", "discs_folder"),
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
    "demo/test_in_browser",
    "demo/test_page",
    "evaluation/test_answers",
    "evaluation/test_broken_artifacts",
    "evaluation/test_float_modules",
    "evaluation/test_ray_cluster",
    "evaluation/test_runner",
    "evaluation/test_until_decided",
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
    "report/test_export",
    "report/test_operators",
    "report/test_parity_page",
    "runtimes/",
    "saliency/test_programs",
    "test_documents",
    "test_earlier_files",
    "test_site",
    "training/test_cli",
    "training/test_growth",
    "training/test_processor",
    "training/test_stages",
    "training/test_trainer",
    "web/",
)
#: Files that share what a process keeps: programs of the tiny network, Core ML's of another, and
#: the compiled Kotlin.
TOGETHER = (
    (
        "quantization/test_quantize",
        "quantization/test_simulation",
        "report/",
        "runtimes/coreml/test_encodings",
        "runtimes/executorch",
        "runtimes/onnx/",
    ),
    ("runtimes/coreml/test_coreml", "runtimes/coreml/test_half_scales"),
    ("android_harness/",),
)
#: What takes longest begins first, so that no worker is left alone with it at the end.
FIRST = (
    *TOGETHER[0],
    "runtimes/test_full_size",
    "test_chain",
    *TOGETHER[1],
    "cli/test_export",
    "training/test_trainer",
    "runtimes/test_third_party",
    "demo/test_page",
    "test_documents",
    "pipeline/test_export",
    "saliency/test_programs",
    "evaluation/test_broken_artifacts",
    "quantization/test_faults",
    *TOGETHER[2],
    "training/",
    "evaluation/",
    "web/",
)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Gives each worker whole files, or all files of a group."""
    from xdist.scheduler import LoadFileScheduling

    class Groups(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            name = _name(Path(config.rootpath, file))
            return next((str(group) for group in TOGETHER if name.startswith(group)), file)

    return Groups(config, log)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Where slow tests are left out their files are not imported, nor what those import."""
    if "not slow" in config.option.markexpr and collection_path.is_file():
        return _name(collection_path).startswith(SLOW_FILES) or None
    return None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks what `make quick` leaves out, and puts the longest files first."""
    for item in items:
        fixtures = set(getattr(item, "fixturenames", ()))
        if _name(item.path).startswith(SLOW_FILES) or fixtures & SLOW_FIXTURES:
            item.add_marker(pytest.mark.slow)
    items.sort(key=lambda item: _place(_name(item.path)))


def _place(name: str) -> int:
    found = (place for place, prefix in enumerate(FIRST) if name.startswith(prefix))
    return next(found, len(FIRST))


def _name(path: Path) -> str:
    """A test file as it is called in the lists above."""
    return path.relative_to(TESTS).with_suffix("").as_posix()


@pytest.fixture(autouse=True)
def notices_on_stderr() -> None:
    """Notices go where a command shows them, whatever handlers a library has installed since."""
    show_notices()


@pytest.fixture(scope="module", autouse=True)
def young_garbage() -> Iterator[None]:
    """Garbage is looked for among what a file's tests made, not among all that was there before.

    Every conversion to Core ML looks for it: seconds, in a process that has run many tests.
    """
    gc.freeze()
    yield
    gc.collect()
    gc.unfreeze()


@pytest.fixture(scope="module")
def traced_leanly() -> Iterator[None]:
    """For files that trace programs themselves: as an export does, and sooner."""
    from sqsam_deploy._internal.upstream.torch import lean_tracing

    with lean_tracing():
        yield


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
