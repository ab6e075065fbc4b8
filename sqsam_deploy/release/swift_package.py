"""A Swift package: the models and their manifest as resources, read by `ios_harness/`'s library."""

import re

from sqsam_deploy.artifact.manifest import ArtifactEntry
from sqsam_deploy.artifact.requirements import highest
from sqsam_deploy.errors import UsageError
from sqsam_deploy.release.delivery import Delivery
from sqsam_deploy.release.rendering import render
from sqsam_deploy.runtimes.registry import all_runtimes, requirements_of


class SwiftPackage:
    """A package that an Xcode project or another package can depend on.

    It holds resources and where they lie, and no types: those come from `SqueezeSAMCore`, so that
    several model packages live in one app.
    """

    name = "swift-package"

    def write(self, delivery: Delivery) -> None:
        """See `Format.write`.

        Models are copied, not processed: the same package then builds with and without Xcode, and
        `SqueezeSAMCoreML` compiles an `.mlpackage` on the device. Of several runtimes it takes the
        one that a phone can run in most ways; `--runtime` chooses another.

        Raises:
            UsageError: None of the artifacts runs on Apple's systems.
        """
        models = _of_one_runtime(delivery.artifacts_for("iOS"))
        release = delivery.opened.release
        module = type_name(release.name) + "Models"
        folder = f"Sources/{module}/Models"
        for model in models:
            delivery.place(model, folder)
        delivery.place_documents(folder)
        needed = [requirements_of(model) for model in models]
        variables = {
            "module": module,
            "release": release,
            "ios": highest(*(each.ios for each in needed)),
            "macos": highest(*(each.macos for each in needed)),
        }
        outputs = {
            "Package.swift": "Package.swift.j2",
            f"Sources/{module}/{module}.swift": "Models.swift.j2",
        }
        for path, template in outputs.items():
            delivery.write(path, render(template, variables, {"swift": swift_string}).encode())


def type_name(text: str) -> str:
    """`squeezesam-nano` -> `SqueezesamNano`: a Swift type's name."""
    words = re.findall(r"[A-Za-z0-9]+", text)
    name = "".join(word[0].upper() + word[1:] for word in words)
    return name if name[0].isalpha() else f"Model{name}"


def _of_one_runtime(artifacts: list[ArtifactEntry]) -> list[ArtifactEntry]:
    ways = {runtime.name: len(runtime.phone_compute.get("iOS", ())) for runtime in all_runtimes()}
    usable = [artifact for artifact in artifacts if ways[artifact.metadata.runtime]]
    if not usable:
        offered = " or ".join(name for name, count in ways.items() if count)
        raise UsageError(f"none of the artifacts runs in a Swift package: --runtime {offered} does")
    chosen = max((artifact.metadata.runtime for artifact in usable), key=ways.__getitem__)
    return [artifact for artifact in usable if artifact.metadata.runtime == chosen]


def swift_string(text: object) -> str:
    """A Swift string literal; control characters as Swift's own `\\u{…}`."""
    return '"' + "".join(_escaped(sign) for sign in str(text)) + '"'


def _escaped(sign: str) -> str:
    if sign in '"\\':
        return f"\\{sign}"
    return sign if sign.isprintable() else f"\\u{{{ord(sign):x}}}"
