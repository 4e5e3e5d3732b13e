"""One more answer of each of many learners: ability and informed knowledge tracing in one pass.

In arrays, the same steps in the same order for each learner: the filter's logit before the answer,
the emission of both states from it, the prediction, Bayes' rule and transition on the odds of
knowing, the ability on the scale and the concept's deviation. Nothing grows with the history.

Sources: the filter's moments after Rasmussen & Williams (2006), "Gaussian processes for machine
learning", equations 3.74 and following, with the logistic averaged after MacKay (1992), Neural
Computation 4, 720-736; the emission after Khajah, Wing, Lindsey & Mozer (2014), EDM 7, 99-106.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from workers.estimation.bkt import update_many

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_PI_8: Final = np.pi / 8.0
_LIMIT: Final = 30.0
"""Largest logit that a probability is made of."""


class Learners(NamedTuple):
    """What is known of each learner on the concept and scale of their answer, shape (n,) each."""

    mantissa: Floats
    """Odds of knowing are mantissa · 2**exponent."""
    exponent: Ints
    theta: Floats
    """Mean of the ability on the scale, logits."""
    variance: Floats
    deviation: Floats
    """Mean of how the ability on the concept differs from it, logits."""
    looseness: Floats
    """Variance of that, 0 for a concept without deviation."""


class Questions(NamedTuple):
    """Parameters of what each learner answers, shape (n,) each: a row of each table by index."""

    discrimination: Floats
    """a of the item."""
    difficulty: Floats
    """b of the item, logits."""
    unknown: Floats
    """Intercept of a right answer while the concept is unknown, logits."""
    known: Floats
    """The same once known, above it."""
    weight: Floats
    """Of the filter's logit in both."""
    learn: Floats
    """P(unknown → known) after an answer."""
    forget: Floats
    """P(known → unknown) after an answer."""
    walk: Floats
    """Variance that each answer adds to the ability on the scale."""
    deviation_walk: Floats
    """The same of the deviation."""
    drift: Floats
    """Added to the mean of the deviation by each answer."""


class Answered(NamedTuple):
    """What an answer of each learner brings."""

    learners: Learners
    """After it."""
    probability: Floats
    """Of a right answer, before it was seen."""


def answer_many(learners: Learners, questions: Questions, score: Floats) -> Answered:
    """One answer of each learner.

    Args:
        learners: before it.
        questions: what was answered.
        score: in [0, 1], shape (n,); between them it weights the likelihoods of right and wrong.
    """
    q = questions
    mean = learners.theta + learners.deviation
    variance = learners.variance + learners.looseness
    a = q.discrimination
    slope = a / np.sqrt(1.0 + _PI_8 * a * a * variance)
    z = slope * (mean - q.difficulty)
    push = q.weight * z
    low = np.clip(q.unknown + push, -_LIMIT, _LIMIT)
    high = np.clip(q.known + push, -_LIMIT, _LIMIT)
    # 1 / (1 + exp(-x)) of both, and of their negatives, from two exponentials.
    down_low, down_high = np.exp(-low), np.exp(-high)
    right_low, right_high = 1.0 / (1.0 + down_low), 1.0 / (1.0 + down_high)
    odds = np.ldexp(learners.mantissa, np.minimum(learners.exponent, 1000))
    probability = (right_low + odds * right_high) / (1.0 + odds)
    # P(right | known) / P(right | unknown); the ratio of wrong is that times exp(low - high).
    ratio = right_high / right_low * (down_high / down_low) ** (1.0 - score)
    mantissa, exponent = update_many(learners.mantissa, learners.exponent, ratio, q.learn, q.forget)
    p = expit(z)
    gradient = slope * (score - p)
    curvature = slope * slope * p * (1.0 - p)
    v, w = learners.variance, learners.looseness
    return Answered(
        Learners(
            mantissa,
            exponent,
            learners.theta + v * gradient,
            v * (1.0 - curvature * v) + q.walk,
            learners.deviation + w * gradient + q.drift,
            w * (1.0 - curvature * w) + q.deviation_walk,
        ),
        probability,
    )
