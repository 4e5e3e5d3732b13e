"""The figures in which models stand against each other, each one `svg` element."""

import math
from collections.abc import Mapping, Sequence
from typing import Final, Literal
from zlib import crc32

import numpy as np

from workers.estimation.metrics import wilson_interval
from workers.modelling.calibration.fitting import MODELS
from workers.modelling.evaluation.histories import Group
from workers.modelling.evaluation.protocol import Predictions
from workers.reports.figures import attempts_drawn, by_attempt
from workers.reports.svg import Plot
from workers.reports.wording import decimal, percent

_SIZE: Final = (520.0, 320.0)
_WIDE: Final = (1070.0, 340.0)
_COLOURS: Final = 360
_MOST_ATTEMPTS: Final = 40
_FEWEST: Final = 30
"""Answers at an attempt number from which all models are compared on it."""


def colour_of(model: str) -> int:
    """The number of the colour of a model, the same whichever others stand beside it."""
    names = list(MODELS)
    return names.index(model) if model in names else len(names) + crc32(model.encode()) % _COLOURS


def learning_of_all(name: str, predictions: Mapping[str, Predictions]) -> Plot:
    """Mean correctness by attempt number over all concepts, and what each model predicted.

    Args:
        name: of the figure, unique in its page.
        predictions: of each model, all of the same answers.
    """
    one = next(iter(predictions.values()))
    drawn = attempts_drawn(one.attempt, _MOST_ATTEMPTS, _FEWEST)
    n = np.bincount(one.attempt)[drawn]
    observed = by_attempt(one.attempt, one.score, drawn)
    low, high = wilson_interval(observed, n.astype(np.float64))
    lines = {
        model: by_attempt(of.attempt, of.probability, drawn) for model, of in predictions.items()
    }
    bottom, top, ticks = axis_range(
        [*low.tolist(), *high.tolist(), *np.concatenate([*lines.values()])]
    )
    first, last = drawn[0], drawn[-1]
    plot = Plot(
        name,
        "Learning curve over all concepts",
        f"Right answers go from {percent(observed[0])} at attempt {first} to "
        f"{percent(observed[-1])} at attempt {last}.",
        *_WIDE,
        (float(first), max(first + 1.0, float(last))),
        (bottom, top),
        left=54,
    )
    step = max(1, -(-(last - first) // 20))
    plot.grid(
        [(float(k), str(k)) for k in range(first, last + 1, step)],
        [(tick, percent(tick)) for tick in ticks],
        "attempt at a concept",
        "share of right answers",
    )
    xs = [float(k) for k in drawn]
    plot.band(xs, low.tolist(), high.tolist(), "gap")
    for model, line in lines.items():
        plot.curve(xs, line.tolist(), f"model m{colour_of(model)}")
    for place, (k, mean, of) in enumerate(zip(drawn, observed.tolist(), n.tolist(), strict=True)):
        told = ", ".join(f"{model} {percent(line[place])}" for model, line in lines.items())
        plot.dot(k, mean, 3.4, "happened", f"attempt {k}: {percent(mean)} of {of:,}; {told}")
    return plot


def by_length(
    name: str,
    title: str,
    measure: Literal["auc", "ece"],
    groups: Mapping[str, Sequence[Group]],
    of: str = "earlier answers of the learner",
) -> Plot:
    """A measure of each model by length of history.

    Args:
        name: of the figure, unique in its page.
        title: what it shows.
        measure: `auc` or `ece`.
        groups: of each model, as `by_history` makes them, at least one.
        of: what the lengths are.
    """
    lines = {
        model: [(x, getattr(group, measure), group) for x, group in enumerate(all_of)]
        for model, all_of in groups.items()
    }
    known = {
        model: [point for point in line if not math.isnan(point[1])]
        for model, line in lines.items()
    }
    low, high, ticks = axis_range([value for line in known.values() for _, value, _ in line])
    columns = next(iter(groups.values()))
    plot = Plot(
        name,
        title,
        "; ".join(
            f"{model}: " + ", ".join(f"{group.label} {decimal(value)}" for _, value, group in line)
            for model, line in lines.items()
        )
        + ".",
        *_SIZE,
        (-0.4, len(columns) - 0.6),
        (low, high),
        left=54,
        bottom=54,
    )
    plot.grid(
        [(float(x), group.label) for x, group in enumerate(columns)],
        [(tick, f"{tick:.2f}") for tick in ticks],
        f"{of}; below, predictions",
        measure.upper(),
    )
    for x, group in enumerate(columns):
        plot.text(plot.at_x(x), plot.height - 25, f"{group.answers:,}", "tick middle")
    for model, line in known.items():
        colour = colour_of(model)
        plot.curve([x for x, *_ in line], [y for _, y, _ in line], f"model m{colour}")
        for x, value, group in line:
            hint = f"{model}, after {group.label}: {decimal(value)}"
            plot.dot(x, value, 3.2, f"model-dot d{colour}", hint)
    return plot


def axis_range(values: Sequence[float]) -> tuple[float, float, list[float]]:
    """Find an axis around values in [0, 1]: its ends and its ticks."""
    if not values:
        return 0.0, 1.0, [0.0, 0.5, 1.0]
    low, high = min(values), max(values)
    step = next(step for step in (0.01, 0.02, 0.05, 0.1, 0.2) if (high - low) / step <= 6.0)
    first, last = math.floor(low / step), max(math.ceil(high / step), math.floor(low / step) + 1)
    return first * step, last * step, [k * step for k in range(first, last + 1)]
