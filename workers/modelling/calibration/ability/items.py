"""Difficulty and discrimination of items, given the ability filter's state before each answer."""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from workers.estimation.logistic_normal import logistic_normal_many
from workers.modelling.calibration.ability.filter import Filtered
from workers.modelling.calibration.paging import pages, release
from workers.modelling.calibration.table import Bools, Floats, Ints, Table

_MOST_LOG_A: Final = 1.5
_LEAST_SPREAD: Final = 0.05
_LEAST_SLOPE_SPREAD: Final = 0.01


@dataclass(frozen=True)
class Items:
    """Items of a scale, and the prior distribution of a concept's items.

    Args:
        difficulty: difficulty of each item, logits.
        log_discrimination: log discrimination of each item.
        of_concept: mean difficulty of each concept's items.
        seen: True for items with an answer.
        spread: variance of difficulties around the mean of their concept.
        slope_spread: variance of log discriminations around 0.
        error: standard error of each difficulty; None before a fit.
        slope_error: standard error of each log discrimination; None before a fit.
    """

    difficulty: Floats
    log_discrimination: Floats
    of_concept: Floats
    seen: Bools
    spread: float = 1.0
    slope_spread: float = 0.1
    error: Floats | None = None
    slope_error: Floats | None = None


def first_guess(table: Table) -> Items:
    """Start items at the difficulty of their concept's answers."""
    right = table.sum_by_concept(lambda _, response: table.score[response]) + 1.0
    answers = table.links_of_concept + 2.0
    of_concept = np.log(answers / right - 1.0)
    centre = np.where(
        table.concept_of_item >= 0, of_concept[table.concept_of_item], of_concept.mean()
    )
    return Items(centre, np.zeros(len(table.items)), of_concept, table.responses_of_item > 0)


def fit_items(table: Table, filtered: Filtered, items: Items, rounds: int = 6) -> Items:
    """Take one empirical Bayes step: items at their posterior mode, then the prior of the items.

    Fisher scoring on the predictive likelihood of all answers, P(a·(m - b), a²·v) of
    `workers.estimation.logistic_normal` with the filter's m and v. Priors: b is normal around the
    mean of its concept, log a is normal around 0. EM gives the variances of the priors, with mode
    and curvature in place of the posterior's moments.

    Args:
        table: the responses.
        filtered: state of the filter before each response.
        items: items to start from.
        rounds: number of scoring steps.
    """
    b, slope = items.difficulty, items.log_discrimination
    centre = items.of_concept[table.concept_of_item]
    for _ in range(rounds):
        sums = _sums(table, filtered, b, slope)
        gradient_b = sums[0] - (b - centre) / items.spread
        gradient_a = sums[1] - slope / items.slope_spread
        h_bb = sums[2] + 1.0 / items.spread
        h_aa = sums[3] + 1.0 / items.slope_spread
        h_ab = sums[4]
        determinant = h_bb * h_aa - h_ab * h_ab
        b = b + np.clip((h_aa * gradient_b - h_ab * gradient_a) / determinant, -1.0, 1.0)
        slope = slope + np.clip((h_bb * gradient_a - h_ab * gradient_b) / determinant, -0.3, 0.3)
        slope = np.clip(slope, -_MOST_LOG_A, _MOST_LOG_A)
    seen = items.seen
    concept = table.concept_of_item[seen]
    number = np.bincount(concept, minlength=items.of_concept.size)
    total = np.bincount(concept, b[seen], items.of_concept.size)
    # Shrink concepts with few items: the mean of all counts as one more item.
    everywhere = float(total.sum() / number.sum())
    of_concept = (total + everywhere) / (number + 1.0)
    spread = ((b[seen] - of_concept[concept]) ** 2 + (h_aa / determinant)[seen]).mean()
    slope_spread = (slope[seen] ** 2 + (h_bb / determinant)[seen]).mean()
    return place_unseen(
        replace(
            items,
            difficulty=b,
            log_discrimination=slope,
            of_concept=of_concept,
            spread=max(_LEAST_SPREAD, float(spread)),
            slope_spread=max(_LEAST_SLOPE_SPREAD, float(slope_spread)),
            error=np.sqrt(h_aa / determinant),
            slope_error=np.sqrt(h_bb / determinant),
        ),
        table.concept_of_item,
    )


def _sums(table: Table, filtered: Filtered, b: Floats, slope: Floats) -> Floats:
    """Sum derivatives of the log likelihood by item.

    Returns:
        First derivatives by b and log a; expected information of b, of log a and of both; shape
        (5, items).
    """
    sums = np.zeros((5, b.size))
    steep = np.exp(slope)
    for rows in pages(table.score.size):
        of, score = table.item[rows], table.score[rows]
        a, variance = steep[of], filtered.variance[rows]
        x, w = a * (filtered.mean[rows] - b[of]), a * a * variance
        right, wrong, rise, bend = logistic_normal_many(x, w)
        left, weight = (score - right) / (right * wrong), 1.0 / (right * wrong)
        # ∂P/∂w = ½·∂²P/∂x², and dw/d log a = 2·w.
        by_b, by_slope = -a * rise, x * rise + w * bend
        for total, values in zip(
            sums,
            (
                by_b * left,
                by_slope * left,
                by_b * by_b * weight,
                by_slope * by_slope * weight,
                by_b * by_slope * weight,
            ),
            strict=True,
        ):
            np.add.at(total, of, values)
        release(*filtered)
    table.release()
    return sums


def place_unseen(items: Items, concept_of_item: Ints) -> Items:
    """Place items without answers at the mean of their concept, or of all concepts.

    Args:
        items: the fitted items.
        concept_of_item: concept of each item, -1 if unknown.
    """
    unseen = ~items.seen
    centre = np.where(
        concept_of_item >= 0, items.of_concept[concept_of_item], items.of_concept.mean()
    )
    return replace(
        items,
        difficulty=np.where(unseen, centre, items.difficulty),
        log_discrimination=np.where(unseen, 0.0, items.log_discrimination),
    )
