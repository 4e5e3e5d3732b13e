"""Render one self-contained HTML file: no network, no script, no outside font."""

from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING

from workers.reports.wording import decimal, percent, thousands

if TYPE_CHECKING:
    from jinja2 import Environment


def render_page(template: str, generated_at: datetime, **values: object) -> str:
    """Render a template that extends `reports/page.html.jinja`.

    Args:
        template: its path below `workers/`.
        generated_at: time shown in the footer.
        values: variables of the template. Each is escaped where it is shown.

    Raises:
        jinja2.UndefinedError: if the template uses a variable that is not given.
    """
    return (
        _environment()
        .get_template(template)
        .render(
            values,
            generated_at=generated_at.strftime("%d %B %Y, %H:%M %Z").strip(" ,"),
        )
    )


@cache
def _environment() -> "Environment":
    # Imported here because most commands render no page.
    from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415

    environment = Environment(
        # Templates stand beside the code that renders them, so the root is the whole package.
        loader=PackageLoader("workers", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(decimal=decimal, percent=percent, thousands=thousands)
    return environment
