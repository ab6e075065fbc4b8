"""A patch applies in releases it was tried with, and says so where it does not or is never used."""

import importlib
import importlib.metadata
import sys
import types
import warnings
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest

from sqsam_deploy._internal.upstream.patches import (
    Library,
    UpstreamWarning,
    Used,
    patch,
    private,
    unexecuted,
    warn_once,
)
from sqsam_deploy.errors import MissingDependencyError

#: Any installed distribution.
VERSION = importlib.metadata.version("pytest")
TRIED = Library("pytest", (VERSION,))
target = types.SimpleNamespace(answer=lambda: "theirs")


@pytest.fixture(autouse=True)
def _warnings_again() -> Iterator[None]:
    warn_once.cache_clear()
    yield
    warn_once.cache_clear()


def _replaced(library: Library, name: str = "answer"):
    @patch(library, "it is slower")
    def ours_instead(used: Used) -> Iterator[None]:
        def ours() -> str:
            used()
            return "ours"

        with mock.patch.object(target, name, ours):
            yield

    return ours_instead


def test_a_used_patch_is_silent_and_taken_back() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with _replaced(TRIED)():
            assert target.answer() == "ours"
    assert target.answer() == "theirs"


@pytest.mark.parametrize(
    ("library", "name"),
    [(Library("pytest", ("0.1",)), "answer"), (TRIED, "gone"), (Library("absent-x", ("1",)), "a")],
)
def test_an_unknown_release_or_a_lost_name_leaves_the_library_alone(
    library: Library, name: str
) -> None:
    with (
        pytest.warns(UpstreamWarning, match=f"{library.name}.*it is slower"),
        _replaced(library, name)(),
    ):
        assert target.answer() == "theirs"


def test_a_patch_that_nothing_uses_is_noticed_once() -> None:
    unused = _replaced(TRIED)
    with pytest.warns(UpstreamWarning, match="ours_instead") as caught:
        for _ in range(3):
            with unused():
                pass
    assert len(caught) == 1


def test_an_error_inside_passes_through_without_a_warning() -> None:
    with warnings.catch_warnings(), pytest.raises(KeyError):
        warnings.simplefilter("error")
        with _replaced(TRIED)():
            raise KeyError("from the body")
    assert target.answer() == "theirs"


@pytest.mark.parametrize(
    ("series", "known"), [("2.13", True), ("2.1", False), ("2.13.0", True), ("2.13.1", False)]
)
def test_a_release_belongs_to_its_series(series: str, known: bool) -> None:
    with mock.patch.object(importlib.metadata, "version"):
        library = Library("torch", (series,))
        with mock.patch.object(Library, "installed", "2.13.0"):
            assert library.was_tried is known


def test_a_private_name_that_is_gone_is_one_sentence() -> None:
    module = types.ModuleType("somewhere")
    module.present = 3
    assert private(TRIED, module, "present", "count") == 3
    with pytest.raises(MissingDependencyError, match=r"pytest .* somewhere\.absent"):
        private(TRIED, module, "absent", "count")


def test_a_module_is_imported_without_its_package_which_is_whole_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "outer_package" / "large"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("SIZE = 7\n")
    (package / "small.py").write_text("ANSWER = 42\n")
    monkeypatch.syspath_prepend(tmp_path)
    with unexecuted("outer_package.large"):
        small = importlib.import_module("outer_package.large.small")
        assert not hasattr(sys.modules["outer_package.large"], "SIZE")
    assert small.ANSWER == 42
    assert "outer_package.large" not in sys.modules
    whole = importlib.import_module("outer_package.large")
    assert whole.SIZE == 7
    with unexecuted("outer_package.large"):
        assert sys.modules["outer_package.large"] is whole
    with unexecuted("missing_package.large"), pytest.raises(ModuleNotFoundError):
        importlib.import_module("missing_package.large")
