"""The figures that only this report has, each one `svg` element."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from workers.reports.figures import histogram, number_ticks
from workers.reports.svg import Plot

Floats = NDArray[np.float64]

_LEVELS: Final = 10


def heat_map(name: str, title: str, description: str, labels: list[str], values: Floats) -> str:
    """Shares in [0, 1] as a field of colour: a row for each label, a column for each student.

    Args:
        name: of the figure, unique in its page.
        title: what it shows.
        description: what there is to see.
        labels: of the rows.
        values: shape (rows, students); NaN is shown as not practised.
    """
    tall, left = 20.0, 168.0
    rows, columns = values.shape
    plot = Plot(
        name,
        title,
        description,
        1000,
        rows * tall + 8,
        (0.0, float(columns)),
        (0.0, 1.0),
        left=left,
        right=4,
    )
    level = np.where(np.isnan(values), -1, np.minimum(values * _LEVELS, _LEVELS - 1)).astype(int)
    for row, label in enumerate(labels):
        y = 4 + row * tall
        shown = label if len(label) <= 24 else f"{label[:23]}…"
        plot.text(left - 8, y + tall / 2 + 4, shown, "tick end")
        # Neighbours of one level are one rectangle: a class of 200 stays a small page.
        starts = np.flatnonzero(np.diff(level[row], prepend=-2)).tolist()
        for start, stop in zip(starts, [*starts[1:], columns], strict=True):
            kind = f"heat h{level[row, start]}" if level[row, start] >= 0 else "gap"
            plot.rectangle((plot.at_x(start), plot.at_x(stop)), (y, y + tall - 2), kind)
    return plot.render()


def ability_histogram(name: str, theta: Floats) -> str:
    """How abilities are distributed, in bins of a quarter logit."""
    return histogram(
        name,
        "Distribution of ability",
        theta,
        width=0.25,
        x_label="ability, logits",
        y_label="learners",
    )


def ability_errors(name: str, theta: Floats, standard_error: Floats) -> str:
    """Each learner's ability with its standard error, from the lowest to the highest."""
    order = np.argsort(theta, kind="stable")
    middle, error = theta[order], standard_error[order]
    low = float(np.floor((middle - error).min()))
    high = float(np.ceil((middle + error).max()))
    plot = Plot(
        name,
        "Ability with standard error",
        f"From {middle[0]:.2f} to {middle[-1]:.2f} logits; the median standard error is "
        f"{float(np.median(error)):.2f}.",
        480,
        300,
        (-0.5, theta.size - 0.5),
        (low, high),
        left=54,
        bottom=28,
    )
    plot.grid(
        [], number_ticks(low, high), "learners, by ability", "ability ± standard error, logits"
    )
    for place, (value, spread) in enumerate(zip(middle.tolist(), error.tolist(), strict=True)):
        x = plot.at_x(place)
        plot.line(x, plot.at_y(value - spread), x, plot.at_y(value + spread), "observed-error thin")
    for place, value in enumerate(middle.tolist()):
        plot.dot(place, value, 1.4, "predicted-dot")
    return plot.render()
