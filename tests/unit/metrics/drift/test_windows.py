"""Windows: their measures are those of the weighted answers, computed here in another way."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from workers.estimation.metrics import auc, brier, ece, log_loss
from workers.metrics.drift.residuals import residuals
from workers.metrics.drift.windows import Measures, Windows

Floats = NDArray[np.float64]


def drawn(size: int, seed: int, spread: float = 1.5) -> tuple[Floats, Floats]:
    """Predictions, and answers that happen as predicted; some have partial credit."""
    draw = np.random.default_rng(seed)
    predictions = 1.0 / (1.0 + np.exp(-draw.normal(0.4, spread, size)))
    scores = (draw.random(size) < predictions).astype(np.float64)
    partial = draw.random(size) < 0.1
    scores[partial] = draw.random(int(partial.sum())).round(2)
    return scores, predictions


def weighted_auc(scores: Floats, predictions: Floats, weights: Floats) -> float:
    """Pair by pair: P(the right answer of a pair has the higher prediction)."""
    right = scores >= 0.5
    higher = predictions[right][:, None] - predictions[~right][None, :]
    pairs = weights[right][:, None] * weights[~right][None, :]
    return float((pairs * ((higher > 0) + (higher == 0) / 2)).sum() / pairs.sum())


def weighted(scores: Floats, predictions: Floats, weights: Floats) -> Measures:
    total = weights.sum()
    loss = -(scores * np.log(predictions) + (1 - scores) * np.log(1 - predictions))
    gap = 0.0
    for k in range(10):
        inside = (predictions >= k / 10) & (predictions < (k + 1) / 10)
        gap += abs((weights[inside] * (scores[inside] - predictions[inside])).sum())
    return Measures(
        total,
        weighted_auc(scores, predictions, weights),
        float((weights * loss).sum() / total),
        float((weights * (scores - predictions) ** 2).sum() / total),
        gap / total,
    )


def fed(
    windows: Windows, rows: NDArray[np.int64], scores: Floats, predictions: Floats, *cuts: int
) -> None:
    """Add answers in pieces."""
    for start, end in zip((0, *cuts), (*cuts, rows.size), strict=True):
        windows.add(rows[start:end], scores[start:end], predictions[start:end])


@pytest.mark.parametrize("size", [30, 1_000])
def test_given_answers_of_several_windows_then_each_weighs_its_own_answers(
    size: int,
) -> None:
    scores, predictions = drawn(3_000, 1)
    rows = np.random.default_rng(2).integers(0, 3, scores.size)
    windows = Windows([size, 2 * size, 10 * size, size])
    fed(windows, rows, scores, predictions, 1, 40, 40, 1_900)

    measures = windows.measures()

    for row, of in enumerate((size, 2 * size, 10 * size)):
        mine = rows == row
        weights = (1 - 1 / of) ** np.arange(mine.sum())[::-1]
        expected = weighted(scores[mine], predictions[mine], weights)
        assert measures[row].auc == pytest.approx(expected.auc, abs=5e-4)
        assert measures[row] == pytest.approx(expected._replace(auc=measures[row].auc), rel=1e-9)
    assert measures[3].answers == 0.0
    assert all(math.isnan(value) for value in measures[3][1:])


def test_given_a_window_far_above_its_answers_then_measures_are_plain() -> None:
    scores, predictions = drawn(4_000, 3)
    windows = Windows([10**9])
    windows.add(np.zeros(scores.size, np.int64), scores, predictions)

    (measure,) = windows.measures()

    assert measure.answers == pytest.approx(4_000, rel=1e-5)
    assert measure.auc == pytest.approx(auc(scores, predictions), abs=5e-4)
    assert measure.log_loss == pytest.approx(log_loss(scores, predictions), rel=1e-5)
    assert measure.brier == pytest.approx(brier(scores, predictions), rel=1e-5)
    assert measure.ece == pytest.approx(ece(scores, predictions), abs=1e-5)


def test_given_answers_one_by_one_or_at_once_then_the_window_is_the_same() -> None:
    scores, predictions = drawn(300, 4)
    rows = np.random.default_rng(5).integers(0, 2, scores.size)
    windows, all_at_once = Windows([50, 80]), Windows([50, 80])
    fed(windows, rows, scores, predictions, *range(1, rows.size))
    fed(all_at_once, rows, scores, predictions)

    for mine, theirs in zip(windows.measures(), all_at_once.measures(), strict=True):
        assert mine == pytest.approx(theirs, rel=1e-9)
    for ones, others in zip(windows.misfits(), all_at_once.misfits(), strict=True):
        assert ones == pytest.approx(others, rel=1e-9)


def test_given_answers_when_compared_then_misfit_sums_have_known_variances() -> None:
    scores, predictions = drawn(500, 6)
    windows = Windows([100])
    windows.add(np.zeros(scores.size, np.int64), scores, predictions)
    weights = 0.99 ** np.arange(500)[::-1]
    logit = np.log(predictions / (1 - predictions))
    spread = predictions * (1 - predictions)
    entropy = -(predictions * np.log(predictions) + (1 - predictions) * np.log(1 - predictions))
    loss = -(scores * np.log(predictions) + (1 - scores) * np.log(1 - predictions))

    misfits = windows.misfits()

    assert misfits.bias[0] == pytest.approx((weights * (scores - predictions)).sum())
    assert misfits.excess[0] == pytest.approx((weights * (loss - entropy)).sum())
    assert misfits.bias_variance[0] == pytest.approx((weights**2 * spread).sum())
    assert misfits.excess_variance[0] == pytest.approx((weights**2 * spread * logit**2).sum())


def test_given_a_cleared_window_then_it_begins_anew_and_others_stay() -> None:
    scores, predictions = drawn(200, 7)
    windows, other = Windows([100, 100]), Windows([100])
    rows = np.tile([0, 1], 100)
    windows.add(rows, scores, predictions)
    untouched = windows.measures()[1]
    windows.clear(0)
    windows.add(np.zeros(50, np.int64), scores[:50], predictions[:50])
    other.add(np.zeros(50, np.int64), scores[:50], predictions[:50])

    assert windows.measures() == [other.measures()[0], untouched]


def test_given_certain_predictions_that_fail_then_all_numbers_stay_finite() -> None:
    told = residuals(np.array([0.0, 1.0, 1.0]), np.array([1.0, 0.0, 1.0]))
    assert all(np.isfinite(column).all() for column in told)
    windows = Windows([10])
    windows.add(np.zeros(3, np.int64), np.array([0.0, 1.0, 1.0]), np.array([1.0, 0.0, 1.0]))
    (measure,) = windows.measures()
    assert all(map(math.isfinite, measure))


def test_given_nothing_to_add_then_nothing_changes() -> None:
    windows = Windows([10])
    windows.add(np.array([], np.int64), np.array([]), np.array([]))
    assert windows.measures()[0].answers == 0.0


def test_given_a_curve_when_its_gaps_are_weighed_then_they_are_the_error() -> None:
    scores, predictions = drawn(500, 3)
    windows = Windows([1_000, 1_000])
    windows.add(np.zeros(500, dtype=np.int64), scores, predictions)

    curve = windows.curve(0)

    total = sum(of.answers for of in curve)
    gaps = sum(of.answers * abs(of.observed - of.predicted) for of in curve)
    assert gaps / total == pytest.approx(windows.measures()[0].ece)
    assert windows.curve(1) == []
