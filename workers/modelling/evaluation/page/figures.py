"""Figures that compare models."""

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import count
from typing import Final, Literal

import numpy as np

from workers.estimation.metrics import wilson_interval
from workers.modelling.calibration.fitting import MODELS
from workers.modelling.evaluation.histories import Group
from workers.modelling.evaluation.protocol import Predictions
from workers.reports.figures import attempts_drawn, by_attempt
from workers.reports.lines import LABELS_WIDTH, LineStyle, label_ends, line_style
from workers.reports.svg import Plot
from workers.reports.wording import decimal, percent

_SIZE: Final = (520.0, 320.0)
_WIDE: Final = (1070.0, 340.0)
_MOST_ATTEMPTS: Final = 40
_FEWEST: Final = 30
"""Answers needed at an attempt number to compare the models on it."""


def styles_of(names: Iterable[str]) -> dict[str, LineStyle]:
    """Return the style of each line: that of a model never changes, others follow in order."""
    models = list(MODELS)
    others = count(len(models))
    return {
        name: line_style(models.index(name) if name in models else next(others)) for name in names
    }


def learning_of_all(name: str, predictions: Mapping[str, Predictions]) -> Plot:
    """Draw the mean score by attempt number over all concepts, and each model's mean prediction.

    Args:
        name: unique within the page.
        predictions: by model, all for the same answers.
    """
    first_model = next(iter(predictions.values()))
    drawn = attempts_drawn(first_model.attempt, _MOST_ATTEMPTS, _FEWEST)
    n = np.bincount(first_model.attempt)[drawn]
    observed = by_attempt(first_model.attempt, first_model.score, drawn)
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
        f"The share of right answers goes from {percent(observed[0])} at attempt {first} to "
        f"{percent(observed[-1])} at attempt {last}.",
        *_WIDE,
        (float(first), max(first + 1.0, float(last))),
        (bottom, top),
        left=54,
        right=LABELS_WIDTH,
    )
    step = max(1, -(-(last - first) // 20))
    plot.grid(
        [(float(k), str(k)) for k in range(first, last + 1, step)],
        [(tick, percent(tick)) for tick in ticks],
        "attempt at a concept",
        "observed share of right answers",
    )
    xs = [float(k) for k in drawn]
    plot.band(xs, low.tolist(), high.tolist(), "gap")
    styles = styles_of(lines)
    for model, line in lines.items():
        plot.curve(xs, line.tolist(), styles[model].line)
    label_ends(
        plot,
        {model: list(zip(xs, line.tolist(), strict=True)) for model, line in lines.items()},
        styles,
    )
    for place, (k, mean, of) in enumerate(zip(drawn, observed.tolist(), n.tolist(), strict=True)):
        predicted = ", ".join(f"{model} {percent(line[place])}" for model, line in lines.items())
        hint = f"attempt {k}: {percent(mean)} of {of:,} answers right; predicted: {predicted}"
        plot.dot(k, mean, 3.4, "happened", hint)
    return plot


def by_length(
    name: str,
    title: str,
    measure: Literal["auc", "ece"],
    groups: Mapping[str, Sequence[Group]],
    of: str = "earlier answers of the learner",
) -> Plot:
    """Draw a measure of each model by number of earlier answers.

    Args:
        name: unique within the page.
        title: for screen readers.
        measure: `auc` or `ece`.
        groups: by model, as `by_history` returns them, at least one.
        of: label of the x axis.
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
        right=LABELS_WIDTH,
        bottom=54,
    )
    plot.grid(
        [(float(x), group.label) for x, group in enumerate(columns)],
        [(tick, f"{tick:.2f}") for tick in ticks],
        f"{of}; below: number of predictions",
        measure.upper(),
    )
    for x, group in enumerate(columns):
        plot.text(plot.at_x(x), plot.height - 25, f"{group.answers:,}", "tick middle")
    styles = styles_of(known)
    label_ends(plot, {model: [(x, y) for x, y, _ in line] for model, line in known.items()}, styles)
    for model, line in known.items():
        plot.curve([x for x, *_ in line], [y for _, y, _ in line], styles[model].line)
        for x, value, group in line:
            hint = f"{model}, {group.label} earlier answers: {decimal(value)}"
            plot.dot(x, value, 3.2, styles[model].dot, hint)
    return plot


def axis_range(values: Sequence[float]) -> tuple[float, float, list[float]]:
    """Return the ends and the ticks of an axis for values in [0, 1]."""
    if not values:
        return 0.0, 1.0, [0.0, 0.5, 1.0]
    low, high = min(values), max(values)
    step = next(step for step in (0.01, 0.02, 0.05, 0.1, 0.2) if (high - low) / step <= 6.0)
    first, last = math.floor(low / step), max(math.ceil(high / step), math.floor(low / step) + 1)
    return first * step, last * step, [k * step for k in range(first, last + 1)]
