"""How sure mastery is: an interval from the evidence and from what is uncertain of the parameters.

After any answers the log-odds λ of knowing is a smooth function of the concept's parameters, and
its gradient g is carried along with it (`workers.estimation.gradients`). With Σ the covariance of
the parameters after their fit, λ is to first order normal about its value with variance gᵀ·Σ·g.
The interval is that of λ, turned into probabilities.

Source: the delta method, Oehlert (1992), "A note on the delta method", The American Statistician
46, 27-29, on the logit scale, where a normal approximation of a probability holds best; Σ is the
inverse of the observed information, prior included: Efron & Hinkley (1978), Biometrika 65, 457-482.
"""

import math
from typing import Final

from workers.estimation.learner import ConceptState
from workers.estimation.parameters import BktParameters

_REACH: Final = 1.959963984540054
"""The standard normal distribution's quantile of 0.975."""
_MOST: Final = 100.0
"""Largest standard deviation of log-odds that counts: by then the interval is (0, 1)."""
_LOG_2: Final = math.log(2.0)


def mastery_interval(state: ConceptState, model: BktParameters) -> tuple[float, float] | None:
    """The 95 % credible interval of P(known), in [0, 1]; the state's own mastery lies in it.

    Args:
        state: of the concept.
        model: the parameters under which it was computed.

    Returns:
        Lower and upper end; None where the parameters have no covariance, or had none when the
        state was computed.
    """
    found = log_odds_interval(state, model)
    if found is None:
        return None
    mastery = state.mastery
    return min(_expit(found[0]), mastery), max(_expit(found[1]), mastery)


def log_odds_interval(state: ConceptState, model: BktParameters) -> tuple[float, float] | None:
    """`mastery_interval` as log-odds, which tell apart what is all but certain."""
    g = state.gradient
    if not model.covariance or len(g) != len(model.covariance):
        return None
    variance = sum(
        a * sum(s * b for s, b in zip(row, g, strict=True))
        for a, row in zip(g, model.covariance, strict=True)
    )
    # By rounding it may be below 0; by overflow it may be no number, and then nothing is known.
    deviation = math.sqrt(max(variance, 0.0)) if math.isfinite(variance) else _MOST
    middle = log_odds(state)
    reach = _REACH * min(deviation, _MOST)
    return middle - reach, middle + reach


def log_odds(state: ConceptState) -> float:
    """The natural logarithm of the odds of knowing."""
    return math.log(state.mantissa) + state.exponent * _LOG_2


def _expit(x: float) -> float:
    if x >= 0.0:
        return 1.0 / (1.0 + math.exp(-x))
    e = math.exp(x)
    return e / (1.0 + e)
