"""Ability: the posterior against exact arithmetic, whatever the history's length."""

from decimal import Decimal
from functools import cache

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import oracle
from workers.estimation.ability import AbilityState, estimate_many, estimates

LENGTHS = (0, 1, 2, 7, 40, 300, 1000, 3000, 10_000, 100_000)


def close(state: AbilityState) -> None:
    (estimate,) = estimates([state])
    theta, error = oracle.eap(state.responses, Decimal(state.score))
    assert abs(Decimal(estimate.theta) - theta) <= Decimal("1e-12")
    assert abs(Decimal(estimate.standard_error) - error) <= Decimal("1e-12")


def integrated(responses: int, score: float) -> tuple[float, float]:
    """Posterior mean and standard deviation by mpmath's quadrature (tanh-sinh)."""
    with mpmath.workdps(30):

        def log_density(theta: mpmath.mpf) -> mpmath.mpf:
            return score * theta - theta**2 / 2 - responses * mpmath.log1p(mpmath.exp(theta))

        @cache  # three integrals over the same points
        def density(theta: mpmath.mpf) -> mpmath.mpf:
            return mpmath.exp(log_density(theta) - top)

        mode = mpmath.findroot(
            lambda theta: score - responses / (1 + mpmath.exp(-theta)) - theta,
            (-20, 20),
            solver="bisect",
        )
        top = log_density(mode)
        right = 1 / (1 + mpmath.exp(-mode))
        width = 1 / mpmath.sqrt(1 + responses * right * (1 - right))
        pieces = [mode + k * width for k in (-16, -8, -4, 0, 4, 8, 16)]
        total, first, second = (
            mpmath.quad(lambda theta, k=k: (theta - mode) ** k * density(theta), pieces)
            for k in range(3)
        )
        shift = first / total
        return float(mode + shift), float(mpmath.sqrt(second / total - shift**2))


def test_given_no_answer_when_estimated_then_it_is_the_prior() -> None:
    (estimate,) = estimates([AbilityState()])
    assert estimate.theta == pytest.approx(0.0, abs=1e-15)
    assert estimate.standard_error == pytest.approx(1.0, abs=1e-13)


def test_given_2100_right_of_3000_when_estimated_then_it_is_as_published() -> None:
    (estimate,) = estimates([AbilityState(3000, 2100.0)])
    assert estimate.theta == pytest.approx(0.846, abs=5e-4)
    assert estimate.standard_error == pytest.approx(0.040, abs=5e-4)


@pytest.mark.parametrize(
    ("responses", "score"),
    [
        (0, 0.0),
        (1, 1.0),
        (5, 2.25),
        (30, 0.0),
        (300, 299.5),
        (3000, 2100.0),
        *((100_000, score) for score in (0.0, 1.0, 50_000.0, 99_999.5, 100_000.0)),
        (10_000_000, 10_000_000.0),
        (10_000_000, 1234.5),
    ],
)
def test_given_any_state_when_estimated_then_it_is_the_integral(
    responses: int, score: float
) -> None:
    (estimate,) = estimates([AbilityState(responses, score)])
    assert estimate == pytest.approx(integrated(responses, score), abs=1e-11)


@pytest.mark.parametrize("responses", LENGTHS)
def test_given_any_length_when_estimated_then_it_equals_exact_quadrature(responses: int) -> None:
    for score in sorted({0, 1, responses // 3, responses // 2, responses - 1, responses}):
        if 0 <= score <= responses:
            close(AbilityState(responses, float(score)))


@given(st.integers(0, 100_000), st.floats(0.0, 1.0))
def test_given_partial_credit_when_estimated_then_it_equals_quadrature(
    responses: int, share: float
) -> None:
    close(AbilityState(responses, responses * share))


@given(st.integers(0, 100_000), st.integers(0, 100_000), st.integers(1, 1024))
def test_given_right_and_wrong_swapped_then_theta_is_mirrored(
    responses: int, whole: int, parts: int
) -> None:
    score = min(whole + parts / 1024.0, float(responses))
    theta, error = estimate_many(
        np.array([responses, responses], dtype=np.float64), np.array([score, responses - score])
    )
    assert theta[0] == pytest.approx(-theta[1], abs=1e-14)
    assert error[0] == error[1]


def test_given_all_right_and_more_answers_then_theta_rises_and_is_finite() -> None:
    theta, error = estimate_many(np.geomspace(1.0, 1e9, 200), np.geomspace(1.0, 1e9, 200))
    assert np.isfinite([theta, error]).all()
    assert (np.diff(theta) > 0).all()


@given(st.integers(1, 100_000), st.integers(0, 100_000))
def test_given_more_right_answers_when_estimated_then_theta_is_higher(
    responses: int, first: int
) -> None:
    score = np.arange(min(first, responses - 1), responses + 1, dtype=np.float64)[:300]
    theta, _ = estimate_many(np.full(score.size, float(responses)), score)
    assert (np.diff(theta) > 0).all()


@given(st.lists(st.tuples(st.integers(0, 100_000), st.floats(0.0, 1.0)), min_size=1, max_size=30))
def test_given_many_states_together_then_the_bits_are_those_of_one_by_one(
    cases: list[tuple[int, float]],
) -> None:
    states = [AbilityState(n, n * share) for n, share in cases]
    assert estimates([*states, *states]) == [estimates([state])[0] for state in states] * 2


def test_given_answers_then_number_and_sum_are_the_whole_state() -> None:
    assert AbilityState().after(1.0).after(0.25).after(0.0) == AbilityState(3, 1.25)
