"""A Swift package: the models as resources, their inputs and outputs as typed constants."""

import re
from dataclasses import dataclass

from sqsam_deploy.artifact.manifest import ArtifactEntry
from sqsam_deploy.errors import UsageError
from sqsam_deploy.release.delivery import Delivery

#: Names a property cannot have without backquotes; only those that could arise here.
_KEYWORDS = frozenset({"in", "is", "as", "init", "self", "default", "case", "class", "enum"})


@dataclass(frozen=True)
class _Model:
    artifact: ArtifactEntry
    identifier: str


class SwiftPackage:
    """A package that an Xcode project or another package can depend on."""

    name = "swift-package"

    def write(self, delivery: Delivery) -> None:
        """See `Format.write`.

        Models are copied, not processed: the same package then builds with and without Xcode,
        and a `.mlpackage` is compiled on the device by `MLModel.compileModel(at:)`.

        Raises:
            UsageError: None of the artifacts runs on Apple's systems.
        """
        usable = delivery.artifacts_for("iOS")
        if not usable:
            raise UsageError("none of the selected artifacts runs in a Swift package")
        release = delivery.opened.release
        module = type_name(release.name) + "Models"
        sources = f"Sources/{module}"
        models = _identify(usable)
        for model in models:
            delivery.place(model.artifact, f"{sources}/Resources")
        delivery.place_documents("Release")
        variables = {"module": module, "release": release, "models": models}
        outputs = {
            "Package.swift": "Package.swift.j2",
            f"{sources}/{module}.swift": "Models.swift.j2",
        }
        for path, template in outputs.items():
            delivery.write(path, _render(template, variables).encode())


def type_name(text: str) -> str:
    """`squeezesam-nano` -> `SqueezesamNano`: a Swift type's name."""
    words = re.findall(r"[A-Za-z0-9]+", text)
    name = "".join(word[0].upper() + word[1:] for word in words)
    return name if name[0].isalpha() else f"Model{name}"


def property_name(text: str) -> str:
    """`nano-int8.mlpackage` -> `nanoInt8Mlpackage`: a Swift property's name."""
    name = type_name(text)
    name = name[0].lower() + name[1:]
    return f"`{name}`" if name in _KEYWORDS else name


def _identify(artifacts: list[ArtifactEntry]) -> list[_Model]:
    models = [_Model(artifact, property_name(artifact.path)) for artifact in artifacts]
    if len({model.identifier for model in models}) < len(models):
        raise UsageError("two of the selected artifacts would have one Swift name: select fewer")
    return models


def swift_string(text: object) -> str:
    """A Swift string literal; control characters as Swift's own `\\u{…}`."""
    return '"' + "".join(_escaped(sign) for sign in str(text)) + '"'


def _escaped(sign: str) -> str:
    if sign in '"\\':
        return f"\\{sign}"
    return sign if sign.isprintable() else f"\\u{{{ord(sign):x}}}"


def _optional_range(limits: tuple[float, float] | None) -> str:
    return "nil" if limits is None else f"{limits[0]}...{limits[1]}"


def _render(template: str, variables: dict[str, object]) -> str:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("sqsam_deploy.release"),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,
    )
    environment.filters |= {"swift": swift_string, "range": _optional_range}
    return environment.get_template(template).render(**variables)
