"""How a pulled release is laid out: as it is, zipped, for Xcode, for Gradle, for the web."""

from typing import Protocol

from sqsam_deploy.errors import UsageError
from sqsam_deploy.release.android import AndroidAssets, AndroidModule
from sqsam_deploy.release.delivery import Delivery
from sqsam_deploy.release.swift_package import SwiftPackage
from sqsam_deploy.web import place_module, place_runtime


class Format(Protocol):
    """One format."""

    name: str

    def write(self, delivery: Delivery) -> None:
        """Lays the delivered artifacts out in the delivery's directory."""


class Plain:
    """A directory as `sqsam-export` writes it, of the selected artifacts."""

    name = "plain"

    def write(self, delivery: Delivery) -> None:
        """See `Format.write`."""
        for artifact in delivery.artifacts:
            delivery.place(artifact)
        delivery.place_documents()


class Zipped:
    """The same with each package directory as one plain zip, for places that keep only files."""

    name = "zip"

    def write(self, delivery: Delivery) -> None:
        """See `Format.write`."""
        for artifact in delivery.artifacts:
            if artifact.is_directory:
                delivery.pack(artifact)
            else:
                delivery.place(artifact)
        delivery.place_documents()


class Web:
    """A folder for a static host: the models, the module `squeezesam.js`, ONNX Runtime beside it.

    `docs/web.md` says what an app does with it.
    """

    name = "web"

    def write(self, delivery: Delivery) -> None:
        """See `Format.write`.

        Raises:
            MissingDependencyError: npm, which brings ONNX Runtime, is not installed.
            StoreError: npm could not bring it.
            UsageError: None of the artifacts runs in a browser.
        """
        usable = delivery.require_for("Web", "in a browser")
        place_runtime(delivery.directory)
        place_module(delivery.directory)
        for artifact in usable:
            delivery.place(artifact)
        delivery.place_documents()


_FORMATS: tuple[Format, ...] = (
    Plain(),
    Zipped(),
    SwiftPackage(),
    AndroidAssets(),
    AndroidModule(),
    Web(),
)


def find_format(name: str) -> Format:
    """The format of this name.

    Raises:
        UsageError: There is none.
    """
    for known in _FORMATS:
        if known.name == name:
            return known
    raise UsageError(f"there is no format {name}: choose {', '.join(f.name for f in _FORMATS)}")
