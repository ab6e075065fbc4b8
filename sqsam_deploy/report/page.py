"""The parts of a report, and an HTML page of them that needs no other file."""

from dataclasses import dataclass
from pathlib import Path

from sqsam_deploy.pictures import Picture

_TEMPLATES = Path(__file__).parent


@dataclass(frozen=True)
class Table:
    """Text in rows, the first cell of each naming it."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class PictureRow:
    """Pictures of one thing beside each other.

    Attributes:
        name: The thing's name.
        note: More about it.
        pictures: In the order in which they stand.
    """

    name: str
    note: str
    pictures: tuple[Picture, ...]


def render(template: str, **values: object) -> str:
    """Fills a template that extends `base.html.j2`; whatever is put in is escaped.

    Args:
        template: Its file name.
        values: What the template names; a missing one is an error.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(**values)
