"""Versions and the references people type: `squeezesam-nano@1.2.0`, `squeezesam-nano@stable`."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator
from semver import Version

from sqsam_deploy.errors import UsageError

#: The tag that always names the highest version that is not a pre-release.
LATEST = "latest"
_NAME = re.compile(r"[a-z0-9]([a-z0-9._-]{0,62}[a-z0-9])?")
#: Words that `sqsam-pull` takes as commands.
_RESERVED_NAMES = ("list", "diff", "pull")


def parse_version(text: str) -> Version:
    """A semantic version (semver.org, 2.0.0) without build metadata.

    Raises:
        UsageError: It is none. Build metadata (`+…`) takes no part in precedence, so two versions
            that differ only there could not be ordered.
    """
    if not Version.is_valid(text):
        raise UsageError(f"{text!r} is not a semantic version: write it like 1.2.0 or 1.2.0-rc.1")
    version = Version.parse(text)
    if version.build:
        raise UsageError(
            f"{text!r} has build metadata, which does not order versions: leave it out"
        )
    return version


def is_version(text: str) -> bool:
    """Whether `parse_version` takes it."""
    return Version.is_valid(text) and Version.parse(text).build is None


def is_name(text: str) -> bool:
    """Whether it can name a model."""
    return _NAME.fullmatch(text) is not None and text not in _RESERVED_NAMES


def is_tag(text: str) -> bool:
    """Whether it can be a tag: a name that cannot be mistaken for a version."""
    return _NAME.fullmatch(text) is not None and text[0] not in "0123456789"


def check_name(name: str) -> str:
    """Returns a model name that is safe in paths and URLs.

    Raises:
        UsageError: It holds other characters, or is a command's name.
    """
    if not is_name(name):
        raise UsageError(
            f"{name!r} cannot name a model: use lower-case letters, digits, '.', '_' and '-', "
            f"and none of {', '.join(_RESERVED_NAMES)}"
        )
    return name


def check_tag(tag: str) -> str:
    """Returns a tag that cannot be mistaken for a version.

    Raises:
        UsageError: It holds other characters, or reads like a version.
    """
    if not is_tag(tag):
        raise UsageError(
            f"{tag!r} cannot be a tag: use lower-case letters, digits, '.', '_' and '-'"
        )
    return tag


def check_movable(tag: str) -> str:
    """Returns a tag that people move.

    Raises:
        UsageError: It is no tag, or `latest`, which follows the highest version by itself.
    """
    if check_tag(tag) == LATEST:
        raise UsageError(
            f"the tag {LATEST} always names the highest released version: move another one, "
            "stable for example"
        )
    return tag


def _checked(is_right: Callable[[str], bool], what: str) -> AfterValidator:
    def check(text: str) -> str:
        if not is_right(text):
            raise ValueError(f"{text[:80]!r} is no {what}")
        return text

    return AfterValidator(check)


#: The same in documents that somebody else wrote.
VersionText = Annotated[str, _checked(is_version, "version")]
ModelName = Annotated[str, _checked(is_name, "model name")]
TagName = Annotated[str, _checked(is_tag, "tag")]


@dataclass(frozen=True)
class Reference:
    """A model and either an exact version or a tag."""

    name: str
    version: Version | None = None
    tag: str | None = None

    def __str__(self) -> str:
        return f"{self.name}@{self.version or self.tag}"


def parse_reference(text: str) -> Reference:
    """Reads `NAME`, `NAME@VERSION` or `NAME@TAG`; a bare name means the tag `latest`.

    Raises:
        UsageError: The name, the version or the tag is not well formed.
    """
    name, _, wanted = text.partition("@")
    check_name(name)
    if not wanted:
        return Reference(name, tag=LATEST)
    if wanted[0] in "0123456789":
        return Reference(name, version=parse_version(wanted))
    return Reference(name, tag=check_tag(wanted))
