"""Render one self-contained HTML file: no network, no script, no outside font."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Final

from workers.reports.wording import decimal, percent, thousands

if TYPE_CHECKING:
    from jinja2 import Environment

_COLOURS_IN_STYLE_SHEET: Final = 6
_GOLDEN_ANGLE: Final = 137.508
"""Degrees between the hues of neighbouring lines, so that no two hues are close."""


def render_page(
    template: str,
    generated_at: datetime,
    *,
    colours: Mapping[str, int] | None = None,
    **values: object,
) -> str:
    """Render a template that extends `reports/page.html.jinja`.

    Args:
        template: its path below `workers/`.
        generated_at: time shown in the footer.
        colours: number of each line's colour, from 0, by the line's name.
        values: variables of the template. Each is escaped where it is shown.

    Raises:
        jinja2.UndefinedError: if the template uses a variable that is not given.
    """
    colours = colours or {}
    return (
        _environment()
        .get_template(template)
        .render(
            values,
            generated_at=generated_at.strftime("%d %B %Y, %H:%M %Z").strip(" ,"),
            colours=colours,
            hues=_hues(colours.values()),
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


def _hues(colours: Iterable[int]) -> dict[int, int]:
    """Compute a hue in degrees for each colour that the style sheet lacks."""
    return {
        colour: round(colour * _GOLDEN_ANGLE % 360)
        for colour in sorted(set(colours))
        if colour >= _COLOURS_IN_STYLE_SHEET
    }
