"""The software that an app has to have before it can run an artifact."""

from pydantic import Field

from sqsam_deploy.artifact.documents import Frozen
from sqsam_deploy.artifact.metadata import DeploymentTarget

#: The macOS of the same year as a deployment target.
MACOS_OF: dict[DeploymentTarget, str] = {
    "iOS15": "12.0",
    "iOS16": "13.0",
    "iOS17": "14.0",
    "iOS18": "15.0",
}


class SwiftDependency(Frozen):
    """A package of the Swift Package Manager.

    Attributes:
        url: Of its repository.
        branch: To take, for a package that releases by branches; otherwise None.
        version: The lowest version to take, for one that releases by tags; otherwise None.
        products: To link.
    """

    url: str
    branch: str | None = None
    version: str | None = None
    products: tuple[str, ...]

    @property
    def name(self) -> str:
        """Its name among Swift packages: the last part of its address."""
        return self.url.rpartition("/")[2].removesuffix(".git")


class Requirements(Frozen):
    """Libraries to link and the lowest systems; empty or None where nothing is known.

    Attributes:
        operators_outside: Operators that no delegate runs, and how often: the app has to link the
            library that has their kernels. None where the file was not looked into.
        delegates: Backends that the file calls by name.
        swift: Packages for Swift.
        linker_flags: For the app's target in Xcode.
        frameworks: Of the system, to link.
        ios: Lowest iOS: "17.0".
        macos: Lowest macOS.
        maven: Coordinates for Gradle: "group:artifact:version".
        android_api: Lowest API level.
        android_abis: Of the libraries in these archives.
    """

    operators_outside: dict[str, int] | None = None
    delegates: tuple[str, ...] = ()
    swift: tuple[SwiftDependency, ...] = ()
    linker_flags: tuple[str, ...] = ()
    frameworks: tuple[str, ...] = ()
    ios: str | None = None
    macos: str | None = None
    maven: tuple[str, ...] = ()
    android_api: int | None = Field(default=None, ge=1)
    android_abis: tuple[str, ...] = ()


def highest(*versions: str | None) -> str | None:
    """The highest of some system versions, None counting as no demand: "17.0"."""
    given = [version for version in versions if version is not None]
    return max(given, key=lambda text: tuple(map(int, text.split("."))), default=None)
