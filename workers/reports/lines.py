"""Lines of several things in one figure: colour, pattern and a name at the end tell them apart."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from workers.reports.svg import Plot

COLOURS: Final = 6
PATTERNS: Final = 3
LABELS_WIDTH: Final = 92.0
"""Margin that the names at the ends of lines need, in units of the view box."""

_APART: Final = 12.0
"""Least distance of two names, in units of the view box."""
_LONGEST: Final = 14
"""Characters of a name that fit into the margin."""


class LineStyle(NamedTuple):
    """Classes of a line and of its dots; the style sheet of the page draws them."""

    line: str
    dot: str


def line_style(number: int) -> LineStyle:
    """Return the style of a line by its number; 18 numbers in a row look different."""
    colour, pattern = number % COLOURS, number // COLOURS % PATTERNS
    return LineStyle(f"model m{colour} l{pattern}", f"model-dot m{colour} d{colour} l{pattern}")


def label_ends(
    plot: Plot, lines: Mapping[str, Sequence[tuple[float, float]]], styles: Mapping[str, LineStyle]
) -> None:
    """Write the name of each line beside its end, with a leader from the line to its name.

    Args:
        plot: with a right margin of `LABELS_WIDTH`.
        lines: the points of each line by its name; a line without points gets no name.
        styles: the style of each line by its name.
    """
    ends = sorted(
        (plot.at_y(points[-1][1]), plot.at_x(points[-1][0]), name)
        for name, points in lines.items()
        if points
    )
    left = plot.width - plot.right
    places = _spread([y for y, *_ in ends], plot.top, plot.height - plot.bottom)
    for (y, x, name), place in zip(ends, places, strict=True):
        plot.line(x, y, left + 8, place, f"{styles[name].line} leader")
        shown = name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"
        plot.text(left + 12, place + 3.5, shown, "tick")


def _spread(wanted: Sequence[float], top: float, bottom: float) -> list[float]:
    """Move sorted places apart, as little as possible from the top, and then up from the bottom."""
    places: list[float] = []
    for place in wanted:
        places.append(max(place, places[-1] + _APART if places else top))
    floor = bottom
    for k in range(len(places) - 1, -1, -1):
        places[k] = min(places[k], floor)
        floor = places[k] - _APART
    return places
