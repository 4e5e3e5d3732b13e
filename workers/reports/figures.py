"""Draw the figures that several pages share."""

from itertools import chain
from typing import Final

import numpy as np
from numpy.typing import NDArray

from workers.estimation.metrics import calibration_bins, wilson_interval
from workers.reports.svg import Plot
from workers.reports.wording import percent, signed

Floats = NDArray[np.float64]

_SHARES: Final = tuple((share / 4, f"{share * 25}%") for share in range(5))
_TENTHS: Final = tuple((share / 5, f"{share * 20}%") for share in range(6))
_FEWEST: Final = 10
"""Answers needed at an attempt number to draw its mean."""
_MOST_ATTEMPTS: Final = 25
_MOST_BINS: Final = 80


def learning_curve(
    name: str, title: str, attempt: NDArray[np.int64], score: Floats, probability: Floats
) -> Plot:
    """Draw mean score and mean prediction of one concept by attempt number, with a 95% band.

    Args:
        name: unique within the page.
        title: display name of the concept.
        attempt: attempt numbers, from 1.
        score: in [0, 1], same shape.
        probability: predicted scores, in [0, 1], same shape.
    """
    drawn = attempts_drawn(attempt)
    n = np.bincount(attempt)[drawn].astype(np.float64)
    observed, predicted = by_attempt(attempt, score, drawn), by_attempt(attempt, probability, drawn)
    low, high = wilson_interval(observed, n)
    first, last = drawn[0], drawn[-1]
    plot = Plot(
        name,
        f"Learning curve of {title}",
        f"The share of right answers goes from {percent(observed[0])} at attempt {first} to "
        f"{percent(observed[-1])} at attempt {last}, the mean prediction from "
        f"{percent(predicted[0])} to {percent(predicted[-1])}.",
        300,
        190,
        (float(first), max(first + 1.0, float(last))),
        (0.0, 1.0),
        left=44,
        bottom=34,
    )
    step = max(1, -(-(last - first) // 6))
    plot.grid(
        [(float(k), str(k)) for k in range(first, last + 1, step)], _SHARES, x_label="attempt"
    )
    xs = [float(k) for k in drawn]
    plot.band(xs, low.tolist(), high.tolist(), "observed-band")
    plot.curve(xs, predicted.tolist(), "predicted")
    plot.curve(xs, observed.tolist(), "observed")
    for k, mean, expected, of in zip(
        drawn, observed.tolist(), predicted.tolist(), n.tolist(), strict=True
    ):
        hint = (
            f"attempt {k}: {percent(mean)} right, {percent(expected)} predicted, {of:.0f} answers"
        )
        plot.dot(float(k), mean, 2.2, "observed-dot", hint)
    return plot


def attempts_drawn(
    attempt: NDArray[np.int64], most: int = _MOST_ATTEMPTS, fewest: int = _FEWEST
) -> list[int]:
    """Return the attempt numbers with enough answers to draw their mean, at least one.

    Args:
        attempt: attempt numbers of all answers, from 1.
        most: largest number of attempt numbers.
        fewest: answers needed; if no attempt number has as many, the largest count is.
    """
    count = np.bincount(attempt)
    return [int(k) for k in np.flatnonzero(count >= min(fewest, int(count.max())))[:most]]


def by_attempt(attempt: NDArray[np.int64], values: Floats, drawn: list[int]) -> Floats:
    """Return the mean of the values at each given attempt number."""
    return np.bincount(attempt, weights=values)[drawn] / np.bincount(attempt)[drawn]


def calibration_curve(
    name: str,
    title: str,
    outcomes: Floats,
    predictions: Floats,
    *,
    x_label: str,
    y_label: str,
    small: bool = False,
) -> Plot:
    """Draw mean outcome over mean prediction in ten bins, with the counts below.

    Args:
        name: unique within the page.
        title: for screen readers.
        outcomes: in [0, 1], shape (n,).
        predictions: in [0, 1], shape (n,).
        x_label: label of the x axis.
        y_label: label of the y axis.
        small: draw a small figure that shows counts only under the pointer.
    """
    bins = calibration_bins(outcomes, predictions)
    filled = np.flatnonzero(bins.size)
    size = bins.size[filled]
    low, high = wilson_interval(bins.outcome[filled], size.astype(np.float64))
    rows = list(
        zip(
            filled.tolist(),
            bins.prediction[filled].tolist(),
            bins.outcome[filled].tolist(),
            low.tolist(),
            high.tolist(),
            size.tolist(),
            strict=True,
        )
    )
    tall = 34.0 if small else 66.0
    plot = Plot(
        name,
        title,
        "; ".join(f"{percent(p)} predicted, {percent(o)} observed" for _, p, o, *_ in rows) + ".",
        *((330, 330) if small else (480, 470)),
        (0.0, 1.0),
        (0.0, 1.0),
        left=58,
        right=20,
        top=14,
        bottom=tall + (46 if small else 62),
    )
    plot.grid(_TENTHS, _TENTHS, y_label=y_label)
    plot.curve((0.0, 1.0), (0.0, 1.0), "ideal")
    for _, predicted, happened, lower, upper, of in rows:
        x = plot.at_x(predicted)
        plot.line(x, plot.at_y(lower), x, plot.at_y(upper), "observed-error")
        hint = f"{percent(predicted, 1)} predicted, {percent(happened, 1)} observed, {of:,} cases"
        plot.dot(predicted, happened, 3.5 if small else 4.5, "observed-dot", hint)
    floor = plot.height - 22.0
    most = int(size.max())
    for index, *_, of in rows:
        left, right = plot.at_x(index / bins.size.size), plot.at_x((index + 1) / bins.size.size)
        height = max(1.0, tall * of / most)
        plot.rectangle((left + 1.5, right - 1.5), (floor - height, floor), "count", f"{of:,}")
        if not small:
            plot.text((left + right) / 2, floor - height - 4, f"{of:,}", "tick middle")
    plot.line(plot.left, floor, plot.width - plot.right, floor, "axis")
    middle = (plot.left + plot.width - plot.right) / 2
    plot.text(middle, plot.height - 5, x_label, "label middle")
    return plot


def histogram(
    name: str,
    title: str,
    values: Floats,
    *,
    width: float,
    x_label: str,
    y_label: str,
    size: tuple[float, float] = (480, 300),
) -> Plot:
    """Draw the distribution of values in bins of equal width, with a mark at the mean.

    Args:
        name: unique within the page.
        title: for screen readers.
        values: one or more.
        width: width of a bin, doubled until there are at most 80 bins.
        x_label: label of the x axis.
        y_label: name of the things counted.
        size: width and height of the figure.
    """
    while float(np.ptp(values)) > _MOST_BINS * width:
        width *= 2.0
    low = float(np.floor(values.min() / (2 * width)) * 2 * width)
    high = float(max(np.ceil(values.max() / (2 * width)) * 2 * width, low + 4 * width))
    edges = np.linspace(low, high, round((high - low) / width) + 1)
    count, _ = np.histogram(values, edges)
    most = int(count.max())
    mean, deviation = float(values.mean()), float(values.std())
    plot = Plot(
        name,
        title,
        f"{values.size:,} {y_label}; mean {signed(mean)}, standard deviation {deviation:.2f}.",
        *size,
        (low, high),
        (0.0, most * 1.08),
        left=54,
    )
    plot.grid(number_ticks(low, high), count_ticks(most), x_label, y_label)
    for left, right, of in zip(edges[:-1], edges[1:], count.tolist(), strict=True):
        hint = f"{left:.2f} to {right:.2f}: {of:,}"
        x = (plot.at_x(left) + 1, plot.at_x(right) - 1)
        plot.rectangle(x, (plot.at_y(of), plot.at_y(0)), "count", hint)
    middle = plot.at_x(mean)
    plot.line(middle, plot.top, middle, plot.at_y(0), "marker")
    plot.text(middle + 5, plot.top + 9, f"mean {signed(mean)}", "tick")
    return plot


def number_ticks(low: float, high: float) -> list[tuple[float, str]]:
    """Return at most ten ticks at round numbers, value and text."""
    steps = (digit * 10.0**power for power in range(300) for digit in (1, 2, 5))
    step = next(
        step
        for step in chain((0.01, 0.02, 0.05, 0.1, 0.25, 0.5), steps)
        if (high - low) / step <= 9.0
    )
    ticks = np.arange(np.ceil(low / step) * step, high + 1e-9, step).tolist()
    return [(tick, f"{tick:g}".replace("-", "\N{MINUS SIGN}")) for tick in ticks]


def count_ticks(most: int) -> list[tuple[float, str]]:
    """Return the ticks of an axis of counts from 0, value and text."""
    size = 10 ** max(0, len(str(most)) - 2)
    step = next(size * times for times in (1, 2, 5, 10, 20) if most / (size * times) <= 6.0)
    return [(float(tick), f"{tick:,}") for tick in range(0, most + 1, step)]
