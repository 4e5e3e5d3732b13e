"""Differentiate the log-odds of mastery by the concept's parameters, answer by answer.

Parameters are taken as the logits of prior, learn, guess, slip and forget. A parameter that is 0
and was not fitted keeps a derivative of 0.

Let λ be the log-odds, s the score and q the posterior odds. K = q·(1 - f) / (q·(1 - f) + t) is the
share of the learners who know after learning (t) and forgetting (f) that knew before. F = q·f /
(q·f + 1 - t) is the share of those who do not know afterwards that knew before. Then

    d log q = dλ + (guess - s)·d logit guess + (1 - slip - s)·d logit slip
    dλ' = (K - F)·d log q + ((1 - t)·(1 - K) + t·(1 - F))·d logit t - (f·K + (1 - f)·F)·d logit f

K - F lies in [-1, 1], so each answer adds a bounded amount and no history overflows.

Source: derivatives of a filter by its parameters, Cappé, Moulines & Rydén (2005), "Inference in
hidden Markov models", section 10.2.4.
"""

from typing import Final

from workers.estimation.bkt import transitions
from workers.estimation.items import ItemParameters
from workers.estimation.parameters import BktParameters

Gradient = tuple[float, ...]

_LEARN: Final = 1
_FORGET: Final = -1


def gradient_of_prior(model: BktParameters) -> Gradient:
    """Return the gradient before the first answer, empty without a covariance."""
    return (1.0, 0.0, 0.0, 0.0, 0.0) if model.covariance else ()


def gradient_of_answer(
    gradient: Gradient, model: BktParameters, item: ItemParameters | None, score: float
) -> Gradient:
    """Update the gradient by Bayes' rule, before learning and forgetting.

    An item's own guess and slip count as the concept's, shifted by known amounts.

    Args:
        gradient: gradient before the answer, not empty.
        model: the concept's parameters.
        item: the answered item's parameters; None if unknown.
        score: score of the answer, in [0, 1].
    """
    prior, learn, of_guess, of_slip, forget = gradient
    guess, slip = model.guess, model.slip
    if item is not None and item.guess is not None and item.slip is not None:
        guess, slip = item.guess, item.slip
    return prior, learn, of_guess + guess - score, of_slip + (1.0 - slip) - score, forget


def gradient_of_transition(
    gradient: Gradient, odds: tuple[float, int], model: BktParameters
) -> Gradient:
    """Update the gradient by learning and forgetting.

    Args:
        gradient: gradient of the posterior log-odds.
        odds: posterior odds as mantissa and power of two.
        model: the concept's parameters.
    """
    learn, forget = model.learn, model.forget
    known_before, known_learned, unknown_forgot, unknown_before = _shares(odds, learn, forget)
    moved = [(known_before - unknown_forgot) * derivative for derivative in gradient]
    moved[_LEARN] += (1.0 - learn) * known_learned + learn * unknown_before
    moved[_FORGET] -= forget * known_before + (1.0 - forget) * unknown_forgot
    return tuple(moved)


def gradient_of_loss(gradient: Gradient, odds: tuple[float, int], lost: float) -> Gradient:
    """Update the gradient by the decay between two answers, at a rate taken as known.

    Args:
        gradient: gradient before the decay.
        odds: odds before the decay as mantissa and power of two.
        lost: share of knowledge that was lost, in [0, 1).
    """
    known_before, _, unknown_forgot, _ = _shares(odds, 0.0, lost)
    return tuple([(known_before - unknown_forgot) * derivative for derivative in gradient])


def _shares(
    odds: tuple[float, int], learn: float, forget: float
) -> tuple[float, float, float, float]:
    """Compute K, 1 - K, F and 1 - F, none of them as a difference."""
    stayed, learned, forgot, missed = transitions(*odds, learn, forget)
    known, unknown = stayed + learned, forgot + missed
    return stayed / known, learned / known, forgot / unknown, missed / unknown
