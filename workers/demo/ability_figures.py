"""Draw the abilities of a class as a histogram and with their standard errors."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from workers.demo.report_data import Knowledge
from workers.demo.selection import evenly
from workers.reports.figures import histogram, number_ticks
from workers.reports.svg import Plot

Floats = NDArray[np.float64]

_MOST_ERROR_BARS: Final = 240


@dataclass(frozen=True)
class AbilityFigures:
    """Figures about the learners whose ability is estimated.

    Args:
        histogram: distribution of ability.
        errors: ability and standard error of each learner shown.
        learners: number of learners.
        shown: number of learners in `errors`.
    """

    histogram: Plot
    errors: Plot
    learners: int
    shown: int


def ability_figures(knowledge: Knowledge) -> AbilityFigures | None:
    """Draw the estimated abilities; None if no ability is estimated."""
    estimated = np.isfinite(knowledge.theta)
    if not estimated.any():
        return None
    theta, error = knowledge.theta[estimated], knowledge.standard_error[estimated]
    shown = np.argsort(theta, kind="stable")[evenly(theta.size, _MOST_ERROR_BARS)]
    return AbilityFigures(
        histogram(
            "ability",
            "Distribution of ability",
            theta,
            width=0.25,
            x_label="ability, logits",
            y_label="learners",
        ),
        _ability_errors(theta[shown], error[shown]),
        theta.size,
        shown.size,
    )


def _ability_errors(theta: Floats, standard_error: Floats) -> Plot:
    """Draw each ability with its standard error, in the order given."""
    low = float(np.floor((theta - standard_error).min()))
    high = float(np.ceil((theta + standard_error).max()))
    plot = Plot(
        "errors",
        "Ability with standard error",
        f"From {theta[0]:.2f} to {theta[-1]:.2f} logits; the median standard error is "
        f"{float(np.median(standard_error)):.2f}.",
        480,
        300,
        (-0.5, theta.size - 0.5),
        (low, high),
        left=54,
        bottom=28,
    )
    plot.grid(
        [],
        number_ticks(low, high),
        "learners, sorted by ability",
        "ability ± standard error, logits",
    )
    for place, (value, spread) in enumerate(
        zip(theta.tolist(), standard_error.tolist(), strict=True)
    ):
        x = plot.at_x(place)
        plot.line(x, plot.at_y(value - spread), x, plot.at_y(value + spread), "observed-error thin")
    for place, value in enumerate(theta.tolist()):
        plot.dot(place, value, 1.4, "predicted-dot")
    return plot
