"""Credible interval of mastery, from the uncertainty of the parameters.

After any answers the log-odds λ of knowing is a smooth function of the concept's parameters, with
gradient g (`workers.estimation.gradients`). With Σ the covariance of the parameters after their
fit, λ is to first order normal with variance gᵀ·Σ·g. The interval of λ, turned into probabilities,
is the interval of mastery.

Source: delta method, Oehlert (1992), "A note on the delta method", The American Statistician 46,
27-29, on the logit scale, where the normal approximation is best. Σ is the inverse of the observed
information including the prior: Efron & Hinkley (1978), Biometrika 65, 457-482.
"""

import math
from typing import Final

from workers.estimation.learner import ConceptState
from workers.estimation.logistic import sigmoid
from workers.estimation.parameters import BktParameters

_REACH: Final = 1.959963984540054
"""Quantile 0.975 of the standard normal distribution."""
_MOST: Final = 100.0
"""Largest standard deviation of log-odds: the interval is (0, 1) by then."""
_LOG_2: Final = math.log(2.0)


def mastery_interval(state: ConceptState, model: BktParameters) -> tuple[float, float] | None:
    """Compute the 95 % credible interval of P(known), in [0, 1].

    The interval contains the state's own mastery.

    Args:
        state: state of the concept.
        model: the parameters under which the state was computed.

    Returns:
        Lower and upper end; None if the parameters have no covariance, or had none when the state
        was computed.
    """
    log_odds_ends = log_odds_interval(state, model)
    if log_odds_ends is None:
        return None
    low, high = map(sigmoid, log_odds_ends)
    return min(low, state.mastery), max(high, state.mastery)


def log_odds_interval(state: ConceptState, model: BktParameters) -> tuple[float, float] | None:
    """Compute `mastery_interval` in log-odds, which stay distinct near 0 and 1."""
    g = state.gradient
    if not model.covariance or len(g) != len(model.covariance):
        return None
    variance = sum(
        a * sum(s * b for s, b in zip(row, g, strict=True))
        for a, row in zip(g, model.covariance, strict=True)
    )
    # Rounding may bring it below 0. Overflow may make it infinite or NaN: then nothing is known.
    standard_error = math.sqrt(max(variance, 0.0)) if math.isfinite(variance) else _MOST
    middle = log_odds(state)
    reach = _REACH * min(standard_error, _MOST)
    return middle - reach, middle + reach


def log_odds(state: ConceptState) -> float:
    """Return the natural logarithm of the odds of knowing."""
    return math.log(state.mantissa) + state.exponent * _LOG_2
