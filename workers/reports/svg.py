"""Compute the marks of a figure; the macro `svg` of `pieces.html.jinja` writes them as SVG.

Classes give the colours; the style sheet of the page has a light and a dark value for each.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

_TICK_LENGTH: Final = 4.0


class Mark(NamedTuple):
    """One shape of a figure.

    Args:
        tag: name of its SVG element.
        attributes: of the element; the class gives the colour.
        text: content of the element, plain text.
        hint: plain text that shows under the pointer.
    """

    tag: str
    attributes: Mapping[str, str]
    text: str
    hint: str


@dataclass
class Plot:
    """A plot area with a linear x and y axis.

    Args:
        name: prefix of ids, unique within the page.
        title: for screen readers.
        description: for screen readers.
        width, height: size of the figure, in units of the view box.
        x, y: lowest and highest value of each axis.
        left, right, top, bottom: margins, in units of the view box.
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
    marks: list[Mark] = field(default_factory=list, init=False)

    def at_x(self, value: float) -> float:
        """Return the x coordinate of a value, in units of the view box."""
        low, high = self.x
        return self.left + (value - low) / (high - low) * (self.width - self.left - self.right)

    def at_y(self, value: float) -> float:
        """Return the y coordinate of a value, in units of the view box."""
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
        """Draw both axes: ticks, horizontal grid lines and labels."""
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
            turn = f"rotate(-90 {x:g} {y:.1f})"
            self._mark(
                "text", "label middle", text=y_label, transform=turn, x=f"{x:g}", y=f"{y:.1f}"
            )

    def line(self, x1: float, y1: float, x2: float, y2: float, kind: str) -> None:
        """Draw a line between two points of the view box."""
        self._mark("line", kind, x1=f"{x1:.1f}", y1=f"{y1:.1f}", x2=f"{x2:.1f}", y2=f"{y2:.1f}")

    def text(self, x: float, y: float, text: str, kind: str) -> None:
        """Write a text at a point of the view box."""
        self._mark("text", kind, text=text, x=f"{x:.1f}", y=f"{y:.1f}")

    def rectangle(
        self, x: tuple[float, float], y: tuple[float, float], kind: str, hint: str = ""
    ) -> None:
        """Draw a rectangle in the view box; the hint shows under the pointer."""
        width, height = f"{x[1] - x[0]:.2f}", f"{y[1] - y[0]:.2f}"
        place = {"x": f"{x[0]:.2f}", "y": f"{y[0]:.2f}"}
        self._mark("rect", kind, hint=hint, **place, width=width, height=height)

    def curve(self, xs: Sequence[float], ys: Sequence[float], kind: str) -> None:
        """Draw a line through points of the plot area."""
        self._mark("polyline", kind, points=self._points(xs, ys))

    def band(
        self, xs: Sequence[float], low: Sequence[float], high: Sequence[float], kind: str
    ) -> None:
        """Fill the area between two lines through points of the plot area."""
        points = self._points([*xs, *xs[::-1]], [*high, *low[::-1]])
        self._mark("polygon", kind, points=points)

    def dot(self, x: float, y: float, radius: float, kind: str, hint: str = "") -> None:
        """Draw a dot at a point of the plot area; the hint shows under the pointer."""
        centre = {"cx": f"{self.at_x(x):.1f}", "cy": f"{self.at_y(y):.1f}"}
        self._mark("circle", kind, hint=hint, **centre, r=f"{radius:g}")

    def _points(self, xs: Sequence[float], ys: Sequence[float]) -> str:
        return " ".join(
            f"{self.at_x(x):.1f},{self.at_y(y):.1f}" for x, y in zip(xs, ys, strict=True)
        )

    def _mark(
        self, tag: str, kind: str, *, text: str = "", hint: str = "", **attributes: str
    ) -> None:
        self.marks.append(Mark(tag, {"class": kind, **attributes}, text, hint))
