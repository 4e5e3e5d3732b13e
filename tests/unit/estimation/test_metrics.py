import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.estimation.metrics import (
    auc,
    brier,
    calibration_bins,
    ece,
    log_loss,
    rmse,
    wilson_interval,
)

shares = st.floats(0.0, 1.0)
cases = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 8)), min_size=1, max_size=60)


def array(*values: float) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.array(values, dtype=np.float64)


@given(cases)
def test_given_ties_then_auc_is_the_share_of_pairs_won_plus_half_the_ties(
    drawn: list[tuple[int, int]],
) -> None:
    right = [p for outcome, p in drawn if outcome]
    wrong = [p for outcome, p in drawn if not outcome]
    area = auc(array(*(o for o, _ in drawn)), array(*(p / 8 for _, p in drawn)))
    if not right or not wrong:
        assert math.isnan(area)
        return
    won = sum((r > w) + 0.5 * (r == w) for r in right for w in wrong)
    assert area == pytest.approx(won / (len(right) * len(wrong)), abs=1e-12)


def test_given_partial_credit_then_auc_counts_a_score_of_one_half_as_right() -> None:
    assert auc(array(0.5, 0.4), array(0.9, 0.1)) == 1.0


def test_given_known_values_when_log_loss_then_mean_cross_entropy_in_nats() -> None:
    expected = -(math.log(0.8) + math.log(0.7) + 0.25 * math.log(0.5) + 0.75 * math.log(0.5)) / 3
    assert log_loss(array(1, 0, 0.25), array(0.8, 0.3, 0.5)) == pytest.approx(expected, abs=1e-15)


def test_given_certainty_then_the_loss_is_nothing_or_infinite() -> None:
    assert log_loss(array(1, 0), array(1, 0)) == 0.0
    assert log_loss(array(1, 1), array(0, 1)) == math.inf


def test_given_known_values_when_brier_then_mean_square_and_rmse_its_root() -> None:
    assert brier(array(1, 0), array(0.8, 0.4)) == pytest.approx((0.04 + 0.16) / 2)
    assert rmse(array(1, 0), array(0.8, 0.4)) == pytest.approx(math.sqrt(0.1))


def test_given_edges_of_bins_then_bins_close_below_and_the_last_above_too() -> None:
    bins = calibration_bins(array(1, 0, 1, 1), array(0.0, 0.5, 0.55, 1.0))
    assert bins.size.tolist() == [1, 0, 0, 0, 0, 2, 0, 0, 0, 1]
    assert bins.prediction[5] == pytest.approx(0.525)
    assert bins.outcome[5] == 0.5
    assert math.isnan(bins.outcome[1])


def test_given_two_bins_when_ece_then_gaps_weigh_by_count() -> None:
    outcomes, predictions = array(1, 1, 1, 0), array(0.85, 0.85, 0.85, 0.3)
    assert ece(outcomes, predictions) == pytest.approx(0.75 * 0.15 + 0.25 * 0.3)


@given(st.lists(st.tuples(shares, shares), min_size=1, max_size=40), st.integers(1, 20))
def test_given_any_shares_when_ece_then_it_is_at_most_the_mean_gap(
    drawn: list[tuple[float, float]], bins: int
) -> None:
    outcomes, predictions = array(*(o for o, _ in drawn)), array(*(p for _, p in drawn))
    error = ece(outcomes, predictions, bins)
    assert 0.0 <= error <= float(np.abs(outcomes - predictions).mean()) + 1e-12


def test_given_published_example_when_wilson_then_its_interval() -> None:
    # Newcombe (1998), Statistics in Medicine 17, table I, method 3: 81 of 263.
    low, high = wilson_interval(array(81 / 263), array(263))
    assert (round(float(low[0]), 4), round(float(high[0]), 4)) == (0.2553, 0.3662)


@pytest.mark.parametrize(
    ("outcomes", "predictions", "said"),
    [
        ([], [], "nothing to measure"),
        ([1.0], [0.5, 0.5], "shapes differ"),
        ([math.nan], [0.5], "outcomes must be"),
        ([1.0], [1.5], "predictions must be"),
    ],
)
def test_given_no_probabilities_when_measured_then_value_error_says_so(
    outcomes: list[float], predictions: list[float], said: str
) -> None:
    for measure in (auc, log_loss, brier, ece, rmse):
        with pytest.raises(ValueError, match=said):
            measure(array(*outcomes), array(*predictions))
