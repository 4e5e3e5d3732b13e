"""Odds of any size: learning, forgetting and decay against exact rational arithmetic."""

import math
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.support.factories import answer
from workers.estimation.answering import apply
from workers.estimation.bkt import probability, update
from workers.estimation.gradients import gradient_of_loss, gradient_of_transition
from workers.estimation.learner import Learner
from workers.estimation.parameters import CLASSICAL, BktParameters, Parameters
from workers.estimation.ranges import LEAST

DAY_S = 86_400

mantissas = st.floats(0.5, 1.0, exclude_max=True)
exponents = (
    st.integers(-5_000, 5_000)
    | st.integers(-1_100, 1_100)
    | st.sampled_from([-1_075, -1_023, -301, -300, 300, 301, 1_022, 1_023, 1_024])
)
ratios = st.sampled_from([1.0, 4.5, 0.125, 1e99, 1e-99]) | st.floats(1e-6, 1e6)
chances = st.sampled_from([0.0, LEAST, 0.1, 1.0 - 2.0**-53]) | st.floats(1e-9, 1.0 - 1e-9)


def exact_odds(posterior: Fraction, learn: float, forget: float) -> Fraction:
    """(q·(1 - f) + t) / (q·f + 1 - t)."""
    t, f = Fraction(learn), Fraction(forget)
    return (posterior * (1 - f) + t) / (posterior * f + 1 - t)


def lost(decay: float) -> float:
    """The share of knowledge that one day takes."""
    return min(-math.expm1(-decay), 1.0 - 2.0**-53)


def odds_of(mantissa: float, exponent: int) -> Fraction:
    return Fraction(mantissa) * Fraction(2) ** exponent


@given(mantissas, exponents, ratios, chances, chances)
@example(0.6, 1_084, 1.0, 0.0, 0.4)
@example(0.6, 1_022, 1.0, 0.0, 1.0 - 2.0**-53)
@example(0.6, -1_084, 1.0, 0.1, 0.0)
def test_given_odds_of_any_size_when_updated_then_they_are_the_exact_ones(
    mantissa: float, exponent: int, ratio: float, learn: float, forget: float
) -> None:
    updated = update(mantissa, exponent, ratio, learn, forget)
    expected = exact_odds(odds_of(mantissa * ratio, exponent), learn, forget)
    assert abs(odds_of(*updated) / expected - 1) < Fraction(1, 10**15)
    assert 0.5 <= updated[0] < 1.0


@given(mantissas, exponents, chances, chances)
def test_given_odds_of_any_size_when_moved_then_the_gradient_is_exact(
    mantissa: float, exponent: int, learn: float, forget: float
) -> None:
    model = replace(CLASSICAL, learn=learn, forget=forget)
    gradient = gradient_of_transition((1.0, 0.0, 0.5, 0.0, 0.0), (mantissa, exponent), model)
    q, t, f = odds_of(mantissa, exponent), Fraction(learn), Fraction(forget)
    knew = q * (1 - f) / (q * (1 - f) + t)
    forgot = q * f / (q * f + 1 - t)
    expected = (
        knew - forgot,
        (1 - t) * (1 - knew) + t * (1 - forgot),
        (knew - forgot) / 2,
        Fraction(0),
        -(f * knew + (1 - f) * forgot),
    )
    for value, wanted in zip(gradient, expected, strict=True):
        assert abs(Fraction(value) - wanted) < Fraction(1, 10**15)


@given(mantissas, exponents, chances)
def test_given_odds_of_any_size_as_time_passes_then_the_gradient_is_exact(
    mantissa: float, exponent: int, lost: float
) -> None:
    (gradient,) = gradient_of_loss((1.0,), (mantissa, exponent), lost)
    q, f = odds_of(mantissa, exponent), Fraction(lost)
    assert abs(Fraction(gradient) - (1 - q * f / (q * f + 1))) < Fraction(1, 10**15)


@pytest.mark.parametrize("covariance", [(), ((0.1, 0.0, 0.0, 0.0, 0.0), *((0.0,) * 5,) * 4)])
@pytest.mark.parametrize("decay", [1e-9, 0.05, 1_000.0])
def test_given_500_right_answers_and_a_day_then_the_next_answer_applies(
    decay: float, covariance: tuple[tuple[float, ...], ...]
) -> None:
    model = BktParameters(0.25, 0.1, 0.2, 0.1, decay_per_day=decay, covariance=covariance)
    parameters = Parameters(default=model)
    learner = Learner()
    for number in range(500):
        apply(learner, answer(number, at=0), parameters)
    before = learner.concepts["c"]
    assert before.exponent > 1_024

    predicted = apply(learner, answer(500, at=DAY_S), parameters).probability_correct
    # What is left is exp(-decay) of P(known), which is as good as 1 before.
    left = probability(*update(before.mantissa, before.exponent, 1.0, 0.0, lost(decay)))
    assert left == pytest.approx(1.0 - lost(decay), abs=1e-15)
    assert predicted == pytest.approx(left * 0.9 + (1.0 - left) * 0.2, abs=1e-15)
    after = learner.concepts["c"]
    assert after.attempts == 501
    assert 0.1 <= after.mastery <= 1.0
    assert len(after.gradient) == len(covariance)
    assert all(-1e3 < value < 1e3 for value in after.gradient)
