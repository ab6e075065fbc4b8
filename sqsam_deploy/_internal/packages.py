"""The sentence about a package that is not installed, which says how to install it."""

import re

#: Distributions whose name is not that of the module they bring.
_DISTRIBUTIONS = {
    "OpenSSL": "pyopenssl",
    "PIL": "pillow",
    "cyclonedx": "cyclonedx-python-lib",
    "packageurl": "packageurl-python",
}
#: Constraints of the extras that want versions of their own.
_CONSTRAINTS = {"litert": "constraints-litert.txt"}


def missing_package(module: str) -> str:
    """A sentence that says what brings a module that cannot be imported.

    The project is on no package registry: it is installed from a clone (docs/install.md).
    """
    root = module.split(".")[0]
    distribution = _DISTRIBUTIONS.get(root, root.replace("_", "-"))
    extras = _extras_with(distribution)
    if not extras:
        return f"the package {distribution} is not installed: pip install {distribution}"
    extra = next((extra for extra in extras if extra not in ("all", "dev")), extras[0])
    what, brings = (f" of the extra '{extra}'", f'".[{extra}]"') if extra else ("", ".")
    return (
        f"the package {distribution}{what} is not installed: in a clone of sqsam-deploy, "
        f"pip install -c {_CONSTRAINTS.get(extra, 'constraints.txt')} {brings}"
    )


def _extras_with(distribution: str) -> list[str]:
    """Extras of this package that bring a distribution; an empty name where it always comes."""
    import importlib.metadata  # it takes as long to load as the rest of --help

    needed = re.compile(
        rf"{re.escape(distribution)}(?![\w-])(?:.*extra == ['\"]([\w-]+)['\"])?", re.I
    )
    matches = map(needed.match, importlib.metadata.requires("sqsam-deploy") or ())
    return [match[1] or "" for match in matches if match]
