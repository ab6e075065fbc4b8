"""A template of this package as one HTML file that needs no other."""

from pathlib import Path

_SHARED = Path(__file__).parent


def render(template: Path, **values: object) -> str:
    """Fills a template that extends `base.html.j2`; whatever is put in is escaped.

    Args:
        template: Its file.
        values: What the template names; a missing one is an error.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader([template.parent, _SHARED]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template.name).render(**values)
