"""Files read and run through ExecuTorch's private names: the same as by its public ones."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from sqsam_deploy._internal.upstream.executorch import (
    BINDING,
    load_program,
    parse_file,
    runtime,
    set_threads,
)
from sqsam_deploy._internal.upstream.patches import UpstreamWarning, warn_once
from sqsam_deploy.errors import MissingDependencyError
from sqsam_deploy.runtimes import open_session
from sqsam_deploy.runtimes.executorch import RUNTIME as EXECUTORCH
from sqsam_deploy.runtimes.executorch.pte import open_pte
from tests.golden.answers import answers
from tests.tiny_network import TINY

portable_lib = runtime(BINDING)
PTE = Path(__file__).parents[2] / "golden" / "v0.1" / "tiny-int8.pte"


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    threads = portable_lib._threadpool_get_thread_count()
    warn_once.cache_clear()
    yield
    warn_once.cache_clear()
    set_threads(threads)


def _same(first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> None:
    assert first.keys() == second.keys()
    for name, values in first.items():
        np.testing.assert_array_equal(values, second[name])


def test_the_thread_pool_has_the_size_that_was_asked_for_and_gives_the_same_numbers() -> None:
    found = []
    for threads in (1, 3):
        found.append(answers(open_session(PTE, threads), TINY))
        assert portable_lib._threadpool_get_thread_count() == threads
    _same(*found)


def test_without_its_name_the_pool_stays_and_the_numbers_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expected = answers(open_session(PTE, 1), TINY)
    monkeypatch.delattr(portable_lib, "_unsafe_reset_threadpool")
    with pytest.warns(UpstreamWarning, match="_unsafe_reset_threadpool"):
        _same(answers(open_session(PTE, 3), TINY), expected)
    assert portable_lib._threadpool_get_thread_count() == 1


def _random_feeds() -> list[torch.Tensor]:
    rng = np.random.default_rng(0)
    inputs = EXECUTORCH.read_metadata(PTE).inputs
    return [
        torch.from_numpy(rng.integers(0, 100, spec.shape).astype(spec.dtype)) for spec in inputs
    ]


def test_outputs_that_are_not_copied_are_those_of_the_public_runtime() -> None:
    from executorch.runtime import Runtime

    feeds = _random_feeds()
    public = Runtime.get().load_program(PTE).load_method("forward").execute(feeds)
    method = load_program(PTE, events=False).load_method("forward")
    for mine, theirs in zip(method.call(feeds, clone_outputs=False), public, strict=True):
        assert torch.equal(mine, theirs)


#: Run in a process that has imported nothing.
LOADS = """
import sys
from pathlib import Path

from sqsam_deploy.runtimes import open_session
from sqsam_deploy.runtimes.registry import runtime_of

for path in map(Path, sys.argv[1:]):
    open_session(path, 1)
    assert len(runtime_of(path).inspect(path).parts) > 1
assert not {"executorch.exir", "executorch.backends.xnnpack", "sklearn"} & set(sys.modules)

import sklearn
from sqsam_deploy._internal.upstream.executorch import load_compiler

load_compiler()
from executorch.exir import to_edge_transform_and_lower
from executorch.exir._warnings import experimental

assert "torch._inductor.lowering" not in sys.modules

import torch
from torch.export._remove_auto_functionalized_pass import unsafe_remove_auto_functionalized_pass


@torch.library.custom_op("example::fill", mutates_args=("x",))
def fill(x: torch.Tensor) -> None:
    x.fill_(7)


class Filled(torch.nn.Module):
    def forward(self, x):
        x = x + 1
        torch.ops.example.fill(x)
        return x


program = torch.export.export(Filled(), (torch.zeros(2),)).run_decompositions({})
names = lambda: " ".join(str(node.target) for node in program.graph.nodes)
assert "auto_functionalized" in names()
program = unsafe_remove_auto_functionalized_pass(program)
assert "auto_functionalized" not in names() and "example.fill" in names()
assert "torch._inductor.lowering" in sys.modules
"""


def test_files_are_run_and_read_without_a_compiler_which_is_whole_when_it_is_loaded() -> None:
    """Inductor is loaded for what needs it alone: a custom operator that changes its input."""
    files = [str(PTE), str(PTE.with_suffix(".mlpackage"))]
    done = subprocess.run([sys.executable, "-c", LOADS, *files], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_without_its_name_a_network_is_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(portable_lib, "_load_program")
    with pytest.raises(MissingDependencyError, match="_load_program"):
        EXECUTORCH.raw_runner(PTE, 1)


def test_both_readers_find_the_delegates_of_the_file_on_disk() -> None:
    whole, lean = parse_file(PTE.read_bytes()), open_pte(PTE)
    names = [plan.name for plan in lean.program.execution_plan]
    assert [plan.name for plan in whole.execution_plan] == names
    blobs = [blob for _, blob in lean.blobs()]
    assert [bytes(blob.data) for blob in whole.backend_delegate_data] == blobs
    assert blobs and all(blob in PTE.read_bytes() for blob in blobs)


@pytest.mark.parametrize(
    "name",
    ["_flatbuffer_program._flatbuffer_to_program", "_program.deserialize_pte_binary"],
)
def test_without_a_reader_a_file_is_one_part_and_still_runs(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(f"executorch.exir._serialize.{name}")
    if "deserialize" in name:
        with pytest.raises(MissingDependencyError, match="deserialize_pte_binary"):
            parse_file(PTE.read_bytes())
    else:
        with pytest.warns(UpstreamWarning, match="_flatbuffer_to_program"):
            (part,) = EXECUTORCH.inspect(PTE).parts
        assert part.bytes == PTE.stat().st_size
    assert np.isfinite(answers(open_session(PTE, 1), TINY)["box logits"]).all()


def test_without_the_compiler_a_file_is_one_part(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = EXECUTORCH.inspect(PTE)
    assert sum(part.bytes for part in whole.parts) == PTE.stat().st_size
    monkeypatch.setattr("sqsam_deploy.runtimes.executorch.delegate._FLATC", "flatc-that-is-gone")
    with pytest.warns(UpstreamWarning, match="not taken apart"):
        (part,) = EXECUTORCH.inspect(PTE).parts
    assert part.bytes == PTE.stat().st_size
