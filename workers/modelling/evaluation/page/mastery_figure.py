"""Validity of mastery by share of declared pairs, as one `svg` element."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Final

import numpy as np

from workers.modelling.evaluation.page.figures import axis_range, colour_of
from workers.modelling.judging.validity import Declared, MasteryTrace, validity
from workers.reports.svg import Plot
from workers.reports.wording import decimal, percent

_SIZE: Final = (520.0, 320.0)
_DRAWN: Final = tuple(np.linspace(0.1, 0.9, 17).tolist())
"""Shares of pairs at which validity is drawn."""
_FEWEST: Final = 30
"""Answers after declarations below which validity is chance and is not drawn."""


def validity_by_share(name: str, traces: Mapping[str, MasteryTrace]) -> Plot:
    """Draw the share right after a declaration over the share of declared pairs.

    Args:
        name: of the figure, unique in its page.
        traces: mastery after each answer, of each model. A dot marks the threshold .95.
    """
    found = {model: validity(trace, shares=_DRAWN) for model, trace in traces.items()}
    lines = {
        model: _known(sorted(of.at_shares.values(), key=lambda one: one.share))
        for model, of in found.items()
    }
    dots = {model: _known([of.at_threshold]) for model, of in found.items()}
    low, high, ticks = axis_range(
        [one.right_after for line in (*lines.values(), *dots.values()) for one in line]
    )
    plot = Plot(
        name,
        "Validity by share declared",
        "; ".join(
            f"{model}: "
            + ", ".join(f"{percent(one.share)} {decimal(one.right_after)}" for one in line[::4])
            for model, line in lines.items()
        )
        + ".",
        *_SIZE,
        (0.0, 1.0),
        (low, high),
        left=54,
    )
    plot.grid(
        [(k / 5, percent(k / 5)) for k in range(6)],
        [(tick, percent(tick)) for tick in ticks],
        "pairs declared mastered",
        "right in the answers that follow",
    )
    for model, line in lines.items():
        colour = colour_of(model)
        # Ties declare the same pairs at several of the shares.
        distinct = line[:1] + [b for a, b in pairwise(line) if b.share > a.share]
        plot.curve(
            [one.share for one in distinct],
            [one.right_after for one in distinct],
            f"model m{colour}",
        )
        for one in dots[model]:
            hint = f"{model} at .95: {percent(one.share)} declared, {decimal(one.right_after)}"
            plot.dot(one.share, one.right_after, 4.0, f"model-dot d{colour}", hint)
    return plot


def _known(declared: list[Declared]) -> list[Declared]:
    return [one for one in declared if one.answers_after >= _FEWEST]
