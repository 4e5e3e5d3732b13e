"""Bayesian knowledge tracing on odds that keep full precision.

The state of a concept is the odds P(known) / P(unknown) as ``mantissa · 2**exponent`` with an
integer exponent. In this form Bayes' rule and the transition are a few products and one quotient,
each exact to half a unit in the last place. Neither P(known) nor P(unknown) rounds away, even after
100,000 right answers. Nothing has to be clamped, and the scalar and the vector form give the same
bits. (Log-odds would round in proportion to their size: to 1e-12 after some hundred right answers.)

Source of model and update: Corbett & Anderson (1995), "Knowledge tracing", User Modeling and
User-Adapted Interaction 4, 253-278, equations 1 to 3. Partial credit weights the two likelihoods:
P(s|L) = P(1|L)^s · P(0|L)^(1-s).
"""

import math

import numpy as np
from numpy.typing import NDArray

from workers.estimation.items import ItemParameters
from workers.estimation.parameters import BktParameters

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_HUGE = 1_000
"""Exponent from which on 1 / odds is below every float that matters."""
_LOWEST, _HIGHEST = -300, 300
"""Exponents between which every term and quotient of the update is a normal float, since likelihood
ratios and probabilities lie between 1e-100 and 1e100 (`ranges.LEAST`)."""


def probability(mantissa: float, exponent: int) -> float:
    """Return P(known) in [0, 1]; it may round to 1 although the odds keep their precision."""
    odds = math.ldexp(mantissa, min(exponent, _HUGE))
    return odds / (1.0 + odds)


def answer_probabilities(
    mastery: float, model: BktParameters, item: ItemParameters | None
) -> tuple[float, float]:
    """Predict an answer from mastery alone: m·(1 - slip) + (1 - m)·guess.

    Source: Corbett & Anderson (1995), equation 4.

    Args:
        mastery: P(known) before the answer, in [0, 1].
        model: parameters of the concept.
        item: parameters of the item, whose guess and slip replace the concept's; None if unknown.

    Returns:
        Probabilities of a right and of a wrong answer, each above 0, without cancellation.
    """
    guess, slip = model.guess, model.slip
    if item is not None and item.guess is not None and item.slip is not None:
        guess, slip = item.guess, item.slip
    unknown = 1.0 - mastery
    return mastery * (1.0 - slip) + unknown * guess, mastery * slip + unknown * (1.0 - guess)


def likelihood_ratio(parameters: BktParameters, score: float) -> float:
    """Return P(score | known) / P(score | unknown) for a score in [0, 1]."""
    if score == 1.0:
        return parameters.ratio_of_right
    if score == 0.0:
        return parameters.ratio_of_wrong
    return float(parameters.ratio_of_right**score * parameters.ratio_of_wrong ** (1.0 - score))


def update(
    mantissa: float, exponent: int, ratio: float, learn: float, forget: float
) -> tuple[float, int]:
    """Apply one answer: Bayes' rule, then learning and forgetting.

    With posterior odds o = odds · ratio, P(known) becomes p·(1 - forget) + (1 - p)·learn, that is
    o' = (o·(1 - forget) + learn) / (o·forget + (1 - learn)).

    Args:
        mantissa: mantissa of the odds before the answer.
        exponent: power of two of the same odds.
        ratio: `likelihood_ratio` of the answer.
        learn: P(unknown → known), in [0, 1).
        forget: P(known → unknown), in [0, 1).

    Returns:
        Mantissa and exponent of the odds after the answer.
    """
    posterior = mantissa * ratio
    # `known` counts in units of 2**exponent of `unknown`. So nothing overflows without forgetting,
    # and with forgetting only exponents beyond `_HIGHEST` do, which `_far_update` handles.
    known, unknown = posterior, 1.0 - learn
    if forget:
        if exponent > _HIGHEST:
            return _far_update(posterior, exponent, learn, forget)
        known *= 1.0 - forget
        unknown += math.ldexp(posterior * forget, exponent)
    if learn:
        if exponent < _LOWEST:
            return _far_update(posterior, exponent, learn, forget)
        known += math.ldexp(learn, -exponent)
    mantissa, shift = math.frexp(known / unknown)
    return mantissa, exponent + shift


def _far_update(posterior: float, exponent: int, learn: float, forget: float) -> tuple[float, int]:
    """Apply learning and forgetting at an extreme exponent, in one unit."""
    stayed, learned, forgot, missed = transitions(posterior, exponent, learn, forget)
    return math.frexp((stayed + learned) / (forgot + missed))


def transitions(
    posterior: float, exponent: int, learn: float, forget: float
) -> tuple[float, float, float, float]:
    """Weigh the four transitions in units in which no weight that matters over- or underflows.

    Args:
        posterior: mantissa of the odds after Bayes' rule.
        exponent: power of two of the same odds.
        learn: P(unknown → known), in [0, 1).
        forget: P(known → unknown), in [0, 1).

    Returns:
        known → known, unknown → known, known → unknown and unknown → unknown. The first two share a
        unit, and so do the last two. The unit of the first two is 2**exponent times the unit of the
        last two. If that would overflow (exponent above 300 with forgetting, below -300 with
        learning), all four share one unit.
    """
    stayed, forgot, missed = posterior * (1.0 - forget), posterior * forget, 1.0 - learn
    if forget and exponent > _HIGHEST:
        return stayed, math.ldexp(learn, -exponent), forgot, math.ldexp(missed, -exponent)
    if learn and exponent < _LOWEST:
        return math.ldexp(stayed, exponent), learn, math.ldexp(forgot, exponent), missed
    return (
        stayed,
        math.ldexp(learn, -exponent) if learn else 0.0,
        math.ldexp(forgot, exponent) if forget else 0.0,
        missed,
    )


def update_many(
    mantissa: Floats, exponent: Ints, ratio: Floats, learn: Floats, forget: Floats
) -> tuple[Floats, Ints]:
    """Vector form of `update`, equal to it to the last bit.

    Args:
        mantissa: mantissas of the odds before the answers, shape (n,).
        exponent: powers of two of the same odds, shape (n,).
        ratio: `likelihood_ratio` of each answer, shape (n,).
        learn: P(unknown → known) of each concept, shape (n,).
        forget: P(known → unknown) of each concept, shape (n,).

    Returns:
        Mantissas and exponents after the answers, shape (n,) each.
    """
    posterior = mantissa * ratio
    with np.errstate(over="ignore"):
        known = posterior * (1.0 - forget) + np.ldexp(learn, -exponent)
        unknown = np.ldexp(posterior * forget, exponent) + (1.0 - learn)
        new_mantissa, shift = np.frexp(known / unknown)
    new_exponent = exponent + shift
    far = np.flatnonzero((exponent > _HIGHEST) | (exponent < _LOWEST))
    if far.size:
        far = far[np.where(exponent[far] > 0, forget[far], learn[far]) > 0.0]
    for at in far.tolist():
        arguments = posterior[at], int(exponent[at]), learn[at], forget[at]
        new_mantissa[at], new_exponent[at] = _far_update(*arguments)
    return new_mantissa, new_exponent
