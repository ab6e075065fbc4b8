"""coremltools without what it prints, checks and counts beyond one conversion."""

import contextlib
import importlib
import logging
import sys
from collections.abc import Iterator
from functools import cache
from types import ModuleType
from unittest import mock

from sqsam_deploy._internal.upstream.executorch import COMPILER
from sqsam_deploy._internal.upstream.patches import Library, Used, patch, unexecuted

COREMLTOOLS = Library("coremltools", ("9.0",))


@cache
def coremltools() -> ModuleType:
    """The package, imported once, without ExecuTorch's compiler and scikit-learn.

    Its import would bring both, for five seconds of a processor: it uses nothing of the one, and
    the other only to convert scikit-learn's models. It warns of torch versions and, off macOS, of
    missing native proxies; none of that concerns ML Programs made from exported programs.
    """
    logging.getLogger("coremltools").addFilter(_is_error)
    with unexecuted(COMPILER), _absent("sklearn"):
        return importlib.import_module("coremltools")


@contextlib.contextmanager
def _absent(package: str) -> Iterator[None]:
    """Lets importing a package fail, unless it was imported before."""
    if package in sys.modules:
        yield
        return
    sys.modules[package] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[package]


def _is_error(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.ERROR


@contextlib.contextmanager
def quiet_conversion() -> Iterator[None]:
    """Hides warnings about defaults.

    The progress bars have no option of their own; the command line sets tqdm's `TQDM_DISABLE`.
    """
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(level)


@patch(COREMLTOOLS, "conversion takes longer")
def unvalidated_passes(used: Used) -> Iterator[None]:
    """Does not check the program again after each of a hundred passes.

    That is a third of coremltools' (9.0) time, and tells which of its passes is wrong; whether one
    is wrong shows when the artifact is executed and compared. `ct.PassPipeline` chooses the passes,
    not the checks between them.
    """
    from coremltools.converters.mil import Program

    with mock.patch.object(Program, "validate", side_effect=lambda *_, **__: used()):
        yield


@patch(COREMLTOOLS, "the bytes of a package depend on what was converted before it")
def restarted_names(used: Used) -> Iterator[None]:
    """Numbers operators from 0.

    coremltools counts over the whole process and starts again only behind a conversion that
    succeeded; one that failed, or a package that was read, leaves its numbers to the next.
    """
    from coremltools.converters.mil import Builder

    Builder.name_count.clear()
    used()
    yield
