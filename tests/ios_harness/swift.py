"""The app's sources as trees: enough of Swift to see what a file declares."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

HARNESS = Path(__file__).parents[2] / "ios_harness"
SOURCES = sorted(HARNESS.rglob("*.swift"))


@dataclass(frozen=True)
class Property:
    """A stored property: its name in snake case, as JSONEncoder writes it, and its type."""

    key: str
    type: str


def tree(path: Path) -> Any:
    tree_sitter = pytest.importorskip("tree_sitter")
    grammar = pytest.importorskip("tree_sitter_swift")
    language = tree_sitter.Language(grammar.language())
    return tree_sitter.Parser(language).parse(path.read_bytes()).root_node


def nodes(node: Any) -> Iterator[Any]:
    yield node
    for child in node.children:
        yield from nodes(child)


def structs(path: Path) -> dict[str, tuple[Property, ...]]:
    """Stored properties of every struct in a file, by its name."""
    found = {}
    for node in nodes(tree(path)):
        if node.type == "class_declaration" and node.children[0].type == "struct":
            name = node.child_by_field_name("name").text.decode()
            found[name] = tuple(_properties(node.child_by_field_name("body")))
    return found


def _properties(body: Any) -> Iterator[Property]:
    for node in body.children:
        if node.type == "property_declaration":
            name, _, kind = node.text.decode().removeprefix("let ").partition(": ")
            yield Property(_snake(name), kind)


def _snake(name: str) -> str:
    """What `convertToSnakeCase` makes of a lowerCamelCase name."""
    return "".join(f"_{sign.lower()}" if sign.isupper() else sign for sign in name)
