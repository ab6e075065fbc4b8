"""Changes to private parts of other libraries, made only where they are known to work.

A patch is applied in the releases it was tried with. In any other release, or where the private
name is gone, the library works unchanged and one `UpstreamWarning` says what that costs. A patch
that was applied and never used says so too: the library no longer goes that way.
"""

import contextlib
import functools
import importlib.util
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType
from typing import Any, Concatenate, ParamSpec

from sqsam_deploy.errors import MissingDependencyError

P = ParamSpec("P")
#: Called by a patch each time the library comes by.
Used = Callable[[], None]


class UpstreamWarning(UserWarning):
    """A library is not as its patches expect; results are the same, the cost is named."""


@dataclass(frozen=True)
class Library:
    """A library and the releases whose private parts were tried.

    Attributes:
        name: Of its distribution.
        tried: Release series, such as "2.13".
    """

    name: str
    tried: tuple[str, ...]

    @property
    def installed(self) -> str:
        """The installed version; empty where there is none."""
        try:
            return version(self.name)
        except PackageNotFoundError:
            return ""

    @property
    def was_tried(self) -> bool:
        """Whether the installed version belongs to a series that was tried."""
        return any(f"{self.installed}.".startswith(f"{series}.") for series in self.tried)


def patch(
    library: Library, cost: str
) -> Callable[
    [Callable[Concatenate[Used, P], Iterator[None]]], Callable[P, AbstractContextManager[None]]
]:
    """Makes a context manager that applies a patch where it is known to work.

    The decorated generator takes a function to call whenever the library uses the patch, applies
    the patch, and yields once.

    Args:
        library: What is patched.
        cost: What is lost without the patch, as the end of a sentence.
    """

    def decorate(
        function: Callable[Concatenate[Used, P], Iterator[None]],
    ) -> Callable[P, AbstractContextManager[None]]:
        apply = contextlib.contextmanager(function)
        name = function.__name__

        @contextlib.contextmanager
        @functools.wraps(function)
        def patched(*args: P.args, **kwargs: P.kwargs) -> Iterator[None]:
            uses: list[None] = []
            with contextlib.ExitStack() as stack:
                reason = _refusal(library) or _entered(
                    stack, apply(lambda: uses.append(None), *args, **kwargs)
                )
                yield
            if reason:
                warn_once(f"{_described(library)} {reason} ({name}): {cost}")
            elif not uses:
                warn_once(f"{_described(library)} does not use a patch any more ({name}): {cost}")

        return patched

    return decorate


def private(library: Library, module: ModuleType, name: str, purpose: str) -> Any:
    """A private attribute that has no public counterpart.

    Args:
        library: Whose it is.
        module: Where it is.
        name: What it is called.
        purpose: What cannot be done without it, as the end of a sentence.

    Raises:
        MissingDependencyError: This release of the library does not have it.
    """
    try:
        return getattr(module, name)
    except AttributeError:
        raise MissingDependencyError(
            f"{_described(library)} has no {module.__name__}.{name}, which is needed to {purpose}: "
            f"install {library.name} {' or '.join(library.tried)}"
        ) from None


@contextlib.contextmanager
def unexecuted(package: str) -> Iterator[None]:
    """Lets the modules of a package be imported without the package's own `__init__`.

    For a library that imports one small module of a large package. Behind it nothing of the
    package is loaded: who imports it gets the whole of it. The next such block has again what was
    imported in this one. It is for one thread: another must not import the package meanwhile.

    Args:
        package: A package below another one. Nothing changes where it is loaded already, or is
            not installed.
    """
    modules = {} if package in sys.modules else _modules_without(package)
    sys.modules.update(modules)
    try:
        yield
    finally:
        if modules:
            for name in [name for name in sys.modules if f"{name}.".startswith(f"{package}.")]:
                modules[name] = sys.modules.pop(name)


@functools.cache
def _modules_without(package: str) -> dict[str, ModuleType]:
    """The package without its `__init__`, and what is imported of it; empty if not installed."""
    spec = _spec(package)
    return {} if spec is None else {package: importlib.util.module_from_spec(spec)}


def _spec(package: str) -> ModuleSpec | None:
    try:
        return importlib.util.find_spec(package)
    except ModuleNotFoundError:
        return None


@functools.cache
def warn_once(message: str) -> None:
    """Warns the first time it is called with a message."""
    warnings.warn(message, UpstreamWarning, stacklevel=3)


def _described(library: Library) -> str:
    return f"{library.name} {library.installed}"


def _refusal(library: Library) -> str:
    return "" if library.was_tried else "was not tried with a patch"


def _entered(stack: contextlib.ExitStack, applied: AbstractContextManager[None]) -> str:
    """Applies a patch; why not where a name it needs is gone."""
    try:
        stack.enter_context(applied)
    except (ImportError, AttributeError) as error:
        return f"lacks what a patch needs, {error}"
    return ""
