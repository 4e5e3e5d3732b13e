"""Drawing in SVG: a plot area with axes, and the few marks that our figures are made of.

Colours come from classes, which the page's style sheet gives a light and a dark value.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Final

_TICK_LENGTH: Final = 4.0


@dataclass
class Plot:
    """A plot area with a linear x and y axis.

    Args:
        name: of the figure, unique in its page; ids are made of it.
        title: what it shows, for those who can't see it.
        description: what there is to see.
        width, height: of the whole, in units of the view box.
        x, y: lowest and highest value of each axis.
        left, right, top, bottom: margins.
    """

    name: str
    title: str
    description: str
    width: float
    height: float
    x: tuple[float, float]
    y: tuple[float, float]
    left: float = 46.0
    right: float = 12.0
    top: float = 12.0
    bottom: float = 40.0
    _marks: list[str] = field(default_factory=list, init=False)

    def at_x(self, value: float) -> float:
        """Where a value of the x axis lies."""
        low, high = self.x
        return self.left + (value - low) / (high - low) * (self.width - self.left - self.right)

    def at_y(self, value: float) -> float:
        """Where a value of the y axis lies."""
        low, high = self.y
        inner = self.height - self.top - self.bottom
        return self.height - self.bottom - (value - low) / (high - low) * inner

    def grid(
        self,
        x_ticks: Iterable[tuple[float, str]],
        y_ticks: Iterable[tuple[float, str]],
        x_label: str = "",
        y_label: str = "",
    ) -> None:
        """Draw axes: ticks with their texts, grid lines across, a label for each axis."""
        floor = self.height - self.bottom
        for value, text in y_ticks:
            y = self.at_y(value)
            self.line(self.left, y, self.width - self.right, y, "grid")
            self.text(self.left - 7, y + 3.5, text, "tick end")
        for value, text in x_ticks:
            x = self.at_x(value)
            self.line(x, floor, x, floor + _TICK_LENGTH, "axis")
            self.text(x, floor + 16, text, "tick middle")
        self.line(self.left, floor, self.width - self.right, floor, "axis")
        if x_label:
            centre = (self.left + self.width - self.right) / 2
            self.text(centre, self.height - 5, x_label, "label middle")
        if y_label:
            x, y = 12.0, (self.top + floor) / 2
            self._marks.append(
                f'<text class="label middle" transform="rotate(-90 {x:g} {y:.1f})" '
                f'x="{x:g}" y="{y:.1f}">{escape(y_label)}</text>'
            )

    def line(self, x1: float, y1: float, x2: float, y2: float, kind: str) -> None:
        """Draw a straight line between two places of the view box."""
        self._marks.append(
            f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'
        )

    def text(self, x: float, y: float, text: str, kind: str) -> None:
        """Write a text at a place of the view box."""
        self._marks.append(f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}">{escape(text)}</text>')

    def rectangle(
        self, x: tuple[float, float], y: tuple[float, float], kind: str, hint: str = ""
    ) -> None:
        """Draw a rectangle between places of the view box; a hint shows under the pointer."""
        shape = (
            f'<rect class="{kind}" x="{x[0]:.2f}" y="{y[0]:.2f}" width="{x[1] - x[0]:.2f}" '
            f'height="{y[1] - y[0]:.2f}"'
        )
        self._marks.append(
            f"{shape}><title>{escape(hint)}</title></rect>" if hint else f"{shape}/>"
        )

    def curve(self, xs: Sequence[float], ys: Sequence[float], kind: str) -> None:
        """Draw a line through values of the axes."""
        points = " ".join(
            f"{self.at_x(x):.1f},{self.at_y(y):.1f}" for x, y in zip(xs, ys, strict=True)
        )
        self._marks.append(f'<polyline class="{kind}" points="{points}"/>')

    def band(
        self, xs: Sequence[float], low: Sequence[float], high: Sequence[float], kind: str
    ) -> None:
        """Fill the area between two lines through values of the axes."""
        there = [(x, y) for x, y in zip(xs, high, strict=True)]
        back = [(x, y) for x, y in zip(xs, low, strict=True)][::-1]
        points = " ".join(f"{self.at_x(x):.1f},{self.at_y(y):.1f}" for x, y in there + back)
        self._marks.append(f'<polygon class="{kind}" points="{points}"/>')

    def dot(self, x: float, y: float, radius: float, kind: str, hint: str = "") -> None:
        """Draw a dot at values of the axes."""
        shape = (
            f'<circle class="{kind}" cx="{self.at_x(x):.1f}" cy="{self.at_y(y):.1f}" r="{radius:g}"'
        )
        self._marks.append(
            f"{shape}><title>{escape(hint)}</title></circle>" if hint else f"{shape}/>"
        )

    def render(self) -> str:
        """The whole as an `svg` element that stands in a page."""
        return (
            f'<svg viewBox="0 0 {self.width:g} {self.height:g}" role="img" '
            f'aria-labelledby="{self.name}-t {self.name}-d">'
            f'<title id="{self.name}-t">{escape(self.title)}</title>'
            f'<desc id="{self.name}-d">{escape(self.description)}</desc>'
            f"{''.join(self._marks)}</svg>"
        )
