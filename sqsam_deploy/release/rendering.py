"""Text files of releases, made from the templates beside this module."""

from collections.abc import Callable, Mapping


def render(
    template: str,
    variables: Mapping[str, object],
    filters: Mapping[str, Callable[..., object]] | None = None,
) -> str:
    """Fills a template of `templates/`; a variable that is missing is an error.

    Nothing is escaped: what is put in was validated, or passes a filter.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("sqsam_deploy.release"),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,
    )
    environment.filters |= dict(filters or {})
    return environment.get_template(template).render(variables)
