"""How a pulled release is laid out for whoever uses it: as it is, for Xcode, for Gradle."""

from typing import Protocol

from sqsam_deploy.errors import UsageError
from sqsam_deploy.release.formats.android_assets import AndroidAssets
from sqsam_deploy.release.formats.delivery import Delivery as Delivery
from sqsam_deploy.release.formats.plain import Plain
from sqsam_deploy.release.formats.swift_package import SwiftPackage


class Format(Protocol):
    """One layout."""

    name: str

    def write(self, delivery: Delivery) -> None:
        """Lays the delivered artifacts out in the delivery's directory."""


_FORMATS: tuple[Format, ...] = (Plain(), SwiftPackage(), AndroidAssets())


def find_format(name: str) -> Format:
    """The layout of this name.

    Raises:
        UsageError: There is none.
    """
    for known in _FORMATS:
        if known.name == name:
            return known
    raise UsageError(f"there is no format {name}: choose {', '.join(f.name for f in _FORMATS)}")
