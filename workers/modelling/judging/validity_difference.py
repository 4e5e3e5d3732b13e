"""Compare the validity of two models on the same learners."""

import math

import numpy as np

from workers.modelling.judging.validity import Floats, Ints, MasteryTrace, PairTraces


def following_by_learner(
    trace: MasteryTrace, learner_of_pair: Ints, share: float
) -> tuple[Floats, Floats]:
    """Sum the answers after declarations of mastery, by learner.

    Args:
        trace: mastery after each answer.
        learner_of_pair: learner of each pair, from 0, shape (largest pair + 1,).
        share: share of all pairs to declare, in (0, 1]; see `PairTraces.threshold_at`.

    Returns:
        Sum of the scores of the up to `validity.ANSWERS` answers after each declaration, and their
        number, shape (largest learner + 1,) each.

    Raises:
        ValueError: the share lies outside (0, 1].
    """
    trails = PairTraces(trace)
    learner = learner_of_pair[trails.pairs]
    right, answers = trails.after(trails.threshold_at(share))
    size = int(learner_of_pair.max(initial=-1)) + 1
    return (
        np.bincount(learner, right, size).astype(np.float64),
        np.bincount(learner, answers, size).astype(np.float64),
    )


def validity_difference(
    new: MasteryTrace, present: MasteryTrace, learner_of_pair: Ints, share: float
) -> tuple[float, float]:
    """Estimate the difference of two models' validity at an equal share.

    Both validities are ratios of sums over learners. Learner i contributes u_i = (s_i - R·c_i) / C
    of the new model minus the same of the present one, with s_i the learner's sum of scores, c_i
    the number of answers, R the validity and C the number of all answers. The variance n/(n - 1)·Σ
    u_i² includes the covariance of the two. The thresholds count as known.

    Source: Woodruff (1971), "A simple method for approximating the variance of a complicated
    estimate", Journal of the American Statistical Association 66, 411-414.

    Args:
        new: mastery after each answer under the new parameters.
        present: mastery after the same answers under the present parameters.
        learner_of_pair: learner of each pair, from 0, shape (largest pair + 1,).
        share: share of all pairs that each model declares, in (0, 1].

    Returns:
        Validity of new minus present, in [-1, 1], and its standard error. Both are NaN if no answer
        follows a declaration of one of them; the error is NaN for fewer than two learners.

    Raises:
        ValueError: the share lies outside (0, 1].
    """
    difference = 0.0
    influence = np.zeros(int(learner_of_pair.max(initial=-1)) + 1)
    for trace, sign in ((new, 1.0), (present, -1.0)):
        right, answers = following_by_learner(trace, learner_of_pair, share)
        if not answers.sum():
            return math.nan, math.nan
        worth = right.sum() / answers.sum()
        difference += sign * float(worth)
        influence += sign * (right - worth * answers) / answers.sum()
    learners = np.unique(learner_of_pair[new.pair]).size
    if learners < 2:
        return difference, math.nan
    variance = learners / (learners - 1) * float(influence @ influence)
    return difference, math.sqrt(variance)
