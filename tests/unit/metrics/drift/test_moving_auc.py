"""The area of a moving window: how far it is from that of every pair."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from workers.estimation.bkt import answer_probabilities, probability
from workers.estimation.metrics import auc
from workers.estimation.parameters import CLASSICAL
from workers.metrics.drift.moving_auc import MovingAuc

Floats = NDArray[np.float64]


def normal(draw: np.random.Generator, size: int, spread: float) -> Floats:
    return np.asarray(1.0 / (1.0 + np.exp(-draw.normal(0.4, spread, size))))


def crowded(draw: np.random.Generator, size: int) -> Floats:
    """Draw predictions like those of knowledge tracing, with many near ties."""
    mantissa = draw.uniform(0.5, 1.0, size)
    exponent = draw.integers(-3, 40, size)
    told = [
        answer_probabilities(probability(float(m), int(e)), CLASSICAL, None)[0]
        for m, e in zip(mantissa, exponent, strict=True)
    ]
    return np.where(
        draw.random(size) < 0.15, answer_probabilities(0.25, CLASSICAL, None)[0], np.array(told)
    )


def fed(decay: float, right: NDArray[np.bool_], told: Floats, by: int) -> MovingAuc:
    ranks = MovingAuc(decay)
    for start in range(0, told.size, by):
        ranks.add(told[start : start + by], right[start : start + by])
    return ranks


@pytest.mark.parametrize("by", [17, 1_000, 15_000])
@pytest.mark.parametrize("kind", ["near", "wide", "crowded"])
def test_given_predictions_of_any_kind_when_binned_then_the_area_is_close(
    kind: str, by: int
) -> None:
    for seed in range(2):
        draw = np.random.default_rng(seed)
        if kind == "crowded":
            told = crowded(draw, 15_000)
        else:
            told = normal(draw, 15_000, 0.01 if kind == "near" else 4.0)
        # Right in the order of the predictions, so that ties would cost most.
        rank = np.argsort(np.argsort(told)) / told.size
        right = draw.random(told.size) < 0.2 + 0.6 * rank
        ranks = fed(1.0, right, told, by)
        assert ranks.area() == pytest.approx(auc(right.astype(float), told), abs=5e-4)
        assert ranks._values.size <= 1_001
        assert (np.diff(ranks._values) > 0).all()


def test_given_older_answers_then_they_weigh_less() -> None:
    draw = np.random.default_rng(9)
    told = normal(draw, 4_500, 1.0)
    # Predictions were good, and are worse than chance now.
    right = draw.random(told.size) < np.where(np.arange(4_500) < 3_000, told, 1.0 - told)
    weight = (1 - 1 / 800) ** np.arange(4_500)[::-1]
    higher = np.sign(told[right][:, None] - told[~right][None, :]) / 2.0 + 0.5
    pairs = weight[right][:, None] * weight[~right][None, :]

    area = fed(1 - 1 / 800, right, told, 7).area()

    assert area == pytest.approx((higher * pairs).sum() / pairs.sum(), abs=5e-4)
    assert area < 0.4


def test_given_equal_predictions_then_they_are_ties_however_many() -> None:
    told = np.tile([0.2, 0.2, 0.7], 5_000)
    right = np.tile([True, False, True], 5_000)
    assert fed(1.0, right, told, 100).area() == pytest.approx(0.75)


def test_given_answers_all_alike_or_none_then_there_is_no_area() -> None:
    ranks = MovingAuc(0.9)
    assert math.isnan(ranks.area())
    ranks.add(np.array([0.5]), np.array([True]))
    assert math.isnan(ranks.area())
    ranks.add(np.array([0.4]), np.array([False]))
    assert ranks.area() == 1.0
    ranks.clear()
    assert math.isnan(ranks.area())
