"""coremltools without what it prints at import and while it converts."""

import importlib
import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from types import ModuleType
from typing import Any, TypeVar

_Item = TypeVar("_Item")

#: Where coremltools 9.0 keeps the progress bars it has no option for.
_BARS = (
    ("coremltools.converters.mil.frontend.torch.ops", "_tqdm"),
    ("coremltools.converters.mil.mil.passes.pass_pipeline", "tqdm"),
)


@cache
def coremltools() -> ModuleType:
    """The package, imported once.

    Its import warns of scikit-learn and torch versions and, off macOS, of missing native proxies;
    none of that concerns ML Programs made from exported programs.
    """
    logging.getLogger("coremltools").addFilter(_is_error)
    return importlib.import_module("coremltools")


def _is_error(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.ERROR


@contextmanager
def quiet_conversion() -> Iterator[None]:
    """Hides progress bars, which would tear this package's own, and warnings about defaults."""
    modules = [(importlib.import_module(name), attribute) for name, attribute in _BARS]
    originals = [getattr(module, attribute) for module, attribute in modules]
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    for module, attribute in modules:
        setattr(module, attribute, _plain)
    try:
        yield
    finally:
        logging.disable(level)
        for (module, attribute), original in zip(modules, originals, strict=True):
            setattr(module, attribute, original)


def _plain(items: Iterable[_Item], **options: Any) -> Iterable[_Item]:
    return items
