"""Draw the validity of mastery by share of declared pairs."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Final

import numpy as np

from workers.modelling.evaluation.page.figures import axis_range, styles_of
from workers.modelling.judging.validity import Declared, MasteryTrace, validity
from workers.reports.lines import LABELS_WIDTH, label_ends
from workers.reports.svg import Plot
from workers.reports.wording import decimal, percent

_SIZE: Final = (520.0, 320.0)
_DRAWN: Final = tuple(np.linspace(0.1, 0.9, 17).tolist())
"""Shares of pairs at which validity is drawn."""
_FEWEST: Final = 30
"""Answers after declarations needed to draw their validity."""


def validity_by_share(name: str, traces: Mapping[str, MasteryTrace]) -> Plot:
    """Draw the mean score after a declaration over the share of declared pairs.

    A dot marks the threshold .95.

    Args:
        name: unique within the page.
        traces: mastery after each answer, by model.
    """
    validities = {model: validity(trace, shares=_DRAWN) for model, trace in traces.items()}
    lines = {
        model: _known(sorted(of.at_shares.values(), key=lambda point: point.share))
        for model, of in validities.items()
    }
    dots = {model: _known([of.at_threshold]) for model, of in validities.items()}
    low, high, ticks = axis_range(
        [point.right_after for line in (*lines.values(), *dots.values()) for point in line]
    )
    plot = Plot(
        name,
        "Validity by share declared",
        "; ".join(
            f"{model}: "
            + ", ".join(
                f"{percent(point.share)} {decimal(point.right_after)}" for point in line[::4]
            )
            for model, line in lines.items()
        )
        + ".",
        *_SIZE,
        (0.0, 1.0),
        (low, high),
        left=54,
        right=LABELS_WIDTH,
    )
    plot.grid(
        [(k / 5, percent(k / 5)) for k in range(6)],
        [(tick, percent(tick)) for tick in ticks],
        "share of pairs declared mastered",
        "mean score of the next 5 answers",
    )
    styles = styles_of(lines)
    label_ends(
        plot,
        {model: [(of.share, of.right_after) for of in line] for model, line in lines.items()},
        styles,
    )
    for model, line in lines.items():
        # Ties can declare the same pairs at several shares.
        distinct = line[:1] + [b for a, b in pairwise(line) if b.share > a.share]
        plot.curve(
            [point.share for point in distinct],
            [point.right_after for point in distinct],
            styles[model].line,
        )
        for point in dots[model]:
            hint = f"{model} at .95: {percent(point.share)} declared, {decimal(point.right_after)}"
            plot.dot(point.share, point.right_after, 4.0, styles[model].dot, hint)
    return plot


def _known(points: list[Declared]) -> list[Declared]:
    return [point for point in points if point.answers_after >= _FEWEST]
