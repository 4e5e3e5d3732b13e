"""Ability: the posterior on 61 points against exact arithmetic, whatever the history's length."""

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import oracle
from workers.estimation.ability import GRID, AbilityState, estimate_many, estimates

LENGTHS = (0, 1, 2, 7, 40, 300, 1000, 3000, 10_000)


def close(state: AbilityState) -> None:
    (found,) = estimates([state])
    theta, error = oracle.eap(state.responses, Decimal(state.score))
    assert abs(Decimal(found.theta) - theta) <= Decimal("1e-12")
    assert abs(Decimal(found.standard_error) - error) <= Decimal("1e-12")


def test_given_the_grid_when_read_then_it_has_61_equal_steps_from_minus_6_to_6() -> None:
    assert GRID.shape == (61,)
    assert (GRID[0], GRID[30], GRID[60]) == (-6.0, 0.0, 6.0)
    assert np.diff(GRID) == pytest.approx(np.full(60, 0.2), abs=1e-14)


def test_given_no_answer_when_estimated_then_it_is_the_prior() -> None:
    (found,) = estimates([AbilityState()])
    assert found.theta == pytest.approx(0.0, abs=1e-15)
    assert found.standard_error == pytest.approx(1.0, abs=1e-7)


@pytest.mark.parametrize("responses", LENGTHS)
def test_given_any_length_when_estimated_then_it_equals_exact_quadrature(responses: int) -> None:
    for score in sorted({0, 1, responses // 3, responses // 2, responses - 1, responses}):
        if 0 <= score <= responses:
            close(AbilityState(responses, float(score)))


@given(st.integers(0, 10_000), st.floats(0.0, 1.0))
def test_given_partial_credit_when_estimated_then_it_equals_exact_quadrature(
    responses: int, share: float
) -> None:
    close(AbilityState(responses, responses * share))


def test_given_all_right_or_all_wrong_when_estimated_then_it_is_finite_and_mirrored() -> None:
    lengths = np.array([*LENGTHS, 1e6])
    right, error_of_right = estimate_many(lengths, lengths)
    wrong, error_of_wrong = estimate_many(lengths, np.zeros_like(lengths))
    assert np.isfinite([right, wrong, error_of_right, error_of_wrong]).all()
    assert right == pytest.approx(-wrong, abs=1e-12)
    assert (np.diff(right) > 0).all()
    assert right[-1] <= 6.0


@given(st.integers(1, 300))
def test_given_more_right_answers_when_estimated_then_theta_is_higher(responses: int) -> None:
    score = np.arange(responses + 1, dtype=np.float64)
    theta, _ = estimate_many(np.full(responses + 1, float(responses)), score)
    assert (np.diff(theta) > 0).all()


@given(st.lists(st.tuples(st.integers(0, 60), st.floats(0.0, 1.0)), min_size=1, max_size=30))
def test_given_many_states_when_estimated_together_then_the_bits_are_those_of_one_by_one(
    cases: list[tuple[int, float]],
) -> None:
    states = [AbilityState(n, n * share) for n, share in cases]
    assert estimates([*states, *states]) == [estimates([one])[0] for one in states] * 2


def test_given_answers_when_counted_then_number_and_sum_are_the_whole_state() -> None:
    assert AbilityState().after(1.0).after(0.25).after(0.0) == AbilityState(3, 1.25)
