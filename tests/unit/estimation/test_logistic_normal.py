"""The averaged logistic function and what an answer says: against fine numeric integration."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from workers.estimation.items import ItemParameters
from workers.estimation.logistic_normal import (
    Floats,
    evidence_of_logit,
    evidence_of_logits,
    logistic_normal,
    logistic_normal_many,
)
from workers.estimation.quadrature import step_probabilities
from workers.estimation.scales import evidence

NORMAL = np.linspace(-40.0, 40.0, 4_001)
"""Places of a standard normal variable: the trapezoid rule over them is exact but for rounding."""
LOGITS = st.floats(-300.0, 300.0)
VARIANCES = st.one_of(st.just(0.0), st.floats(1e-6, 5_000.0))
SCORES = st.one_of(st.sampled_from((0.0, 0.5, 1.0)), st.floats(0.0, 1.0))


def exact(x: float, w: float) -> float:
    weight = np.exp(-0.5 * NORMAL**2)
    chance = np.exp(-np.logaddexp(0.0, -(x + math.sqrt(w) * NORMAL)))
    return float(weight @ chance / weight.sum())


def log_likelihood(item: ItemParameters, score: float, theta: Floats) -> Floats:
    if item.thresholds:
        step: Floats = step_probabilities(item, theta)[round(score * len(item.thresholds))]
        return np.log(step)
    x = item.discrimination * (theta - item.difficulty)
    span = item.upper - item.lower
    with np.errstate(divide="ignore"):
        right = np.logaddexp(np.log(item.lower), np.log(span) - np.logaddexp(0.0, -x))
        wrong = np.logaddexp(np.log1p(-item.upper), np.log(span) - np.logaddexp(0.0, x))
    return np.asarray(score * right + (1.0 - score) * wrong)


def posterior(
    item: ItemParameters, mean: float, variance: float, score: float
) -> tuple[float, float]:
    """Mean and standard deviation."""
    theta = mean + math.sqrt(variance) * NORMAL
    weight = -0.5 * NORMAL**2 + log_likelihood(item, score, theta)
    weight = np.exp(weight - weight.max())
    weight /= weight.sum()
    middle = float(weight @ theta)
    return middle, math.sqrt(float(weight @ (theta - middle) ** 2))


def moved(item: ItemParameters, mean: float, variance: float, score: float) -> tuple[float, float]:
    """The same as the engine computes it."""
    seen = evidence(item, mean, variance, score)
    spread = variance * (1.0 - variance * seen.curvature)
    return mean + variance * seen.gradient, math.sqrt(spread)


@pytest.mark.parametrize("w", [0.0, 0.01, 0.3, 1.0, 4.0, 13.5, 60.0, 100.0])
def test_given_any_logit_when_averaged_then_the_chance_is_the_integrals(w: float) -> None:
    for x in np.linspace(-40.0, 40.0, 161):
        integral = logistic_normal(float(x), w)
        assert abs(integral.right - exact(float(x), w)) <= 6e-5
        assert abs(integral.wrong - exact(-float(x), w)) <= 6e-5


@pytest.mark.parametrize("w", [0.0, 0.3, 4.0, 13.5])
def test_given_a_far_logit_when_averaged_then_its_tail_is_the_integrals(w: float) -> None:
    # Beyond -w / 2 the tilt leaves an average of 1/2 or more: the error is relative.
    for x in (-0.5 * w - 0.1, -0.5 * w - 3.0, -40.0, -200.0):
        assert logistic_normal(x, w).right == pytest.approx(exact(x, w), rel=3e-4)
        assert logistic_normal(-x, w).wrong == pytest.approx(exact(x, w), rel=3e-4)


@pytest.mark.parametrize("score", [0.0, 0.3, 0.5, 1.0])
@pytest.mark.parametrize("variance", [0.02, 0.3, 0.8, 1.5])
@pytest.mark.parametrize("a", [0.3, 1.0, 1.4, 2.2, 3.0])
def test_given_an_item_when_answered_then_moments_are_the_posteriors(
    a: float, variance: float, score: float
) -> None:
    for off in (-60.0, -12.0, -5.0, -2.5, -1.0, -0.3, 0.0, 0.2, 0.7, 1.6, 3.5, 8.0, 30.0):
        item = ItemParameters(0.4 - off, a)
        mean, error = moved(item, 0.4, variance, score)
        expected_mean, expected_error = posterior(item, 0.4, variance, score)
        assert abs(mean - expected_mean) <= 0.002 * expected_error
        assert abs(error - expected_error) <= 0.002 * expected_error


ASYMPTOTES = [
    ItemParameters(0.0, 1.2, 0.2),
    ItemParameters(0.0, 3.0, 0.25),
    ItemParameters(0.0, 0.8, 0.15, 0.95),
    ItemParameters(0.0, 2.5, 0.1, 0.9),
    ItemParameters(0.0, 1.5, 0.0, 0.9),
]
STEPS = [
    ItemParameters(0.0, 1.3, thresholds=(-1.0, 0.2, 0.9)),
    ItemParameters(0.0, 3.0, thresholds=(-0.4, 0.4)),
    ItemParameters(0.0, 0.9, thresholds=(0.4, -0.3), steps="partial_credit"),
    ItemParameters(0.0, 2.0, thresholds=(-0.5, 0.0, 0.8), steps="partial_credit"),
]


@pytest.mark.parametrize("score", [0.0, 0.3, 0.5, 1.0])
@pytest.mark.parametrize("variance", [0.1, 0.8, 1.5])
@pytest.mark.parametrize("item", ASYMPTOTES + STEPS)
def test_given_asymptotes_or_steps_then_moments_are_the_posteriors(
    item: ItemParameters, variance: float, score: float
) -> None:
    for mean in (-8.0, -3.0, -1.0, 0.0, 0.4, 1.7, 4.0, 9.0):
        variance_after, error = moved(item, mean, variance, score)
        expected_mean, expected_error = posterior(item, mean, variance, score)
        assert abs(variance_after - expected_mean) <= 0.02 * expected_error
        assert abs(error - expected_error) <= 0.02 * expected_error


@given(st.lists(st.tuples(LOGITS, VARIANCES, SCORES), min_size=1, max_size=8))
def test_given_many_answers_when_taken_at_once_then_each_is_as_taken_alone(
    cases: list[tuple[float, float, float]],
) -> None:
    x, w, score = (np.array(column) for column in zip(*cases, strict=True))
    many, evidences = logistic_normal_many(x, w), evidence_of_logits(x, w, score)
    for at, case in enumerate(cases):
        alone = logistic_normal(case[0], case[1])
        together = [float(column[at]) for column in many]
        assert together == pytest.approx(list(alone), rel=1e-11, abs=1e-12)
        values = [float(column[at]) for column in evidences]
        assert values == pytest.approx(list(evidence_of_logit(*case)), rel=1e-11, abs=1e-12)


@given(LOGITS, VARIANCES, SCORES)
def test_given_right_and_wrong_changed_about_then_all_is_mirrored(
    x: float, w: float, score: float
) -> None:
    integral, other = logistic_normal(x, w), logistic_normal(-x, w)
    assert (integral.right, integral.wrong) == pytest.approx((other.wrong, other.right), abs=1e-12)
    assert integral.slope == pytest.approx(other.slope, rel=1e-11)
    assert integral.bend == pytest.approx(-other.bend, rel=1e-11, abs=1e-300)
    assert integral.right + integral.wrong == pytest.approx(1.0, abs=1e-12)
    assert 0.0 < integral.right <= 1.0
    assert integral.slope >= 0.0
    # Where one form takes over from the other, both are right and either may be taken.
    assume(abs(2.0 * x - (1.0 - 2.0 * score) * w) > 1e-9 * (1.0 + w))
    gradient, curvature = evidence_of_logit(x, w, score)
    mirrored = evidence_of_logit(-x, w, 1.0 - score)
    assert mirrored == pytest.approx((-gradient, curvature), rel=1e-9, abs=1e-9)


@given(st.floats(-300.0, 300.0))
def test_given_no_variance_then_it_is_the_logistic_function(x: float) -> None:
    chance = 1.0 / (1.0 + math.exp(-x))
    integral = logistic_normal(x, 0.0)
    assert integral.right == pytest.approx(chance, abs=6e-5)
    assert integral.slope == pytest.approx(chance * (1.0 - chance), abs=2e-4)
    gradient, curvature = evidence_of_logit(x, 0.0, 1.0)
    assert gradient == pytest.approx(1.0 / (1.0 + math.exp(x)), abs=1e-3)
    assert curvature == pytest.approx(chance * (1.0 - chance), abs=1e-3)


@given(st.floats(-30.0, 30.0), st.floats(0.1, 100.0))
def test_given_more_variance_then_the_chance_moves_by_half_its_bend(x: float, w: float) -> None:
    step = 1e-4
    # Where one form takes over from the other the derivatives have a step of their error.
    assume(abs(abs(x) - 0.5 * w) > 2.0 * step)
    by_variance = (logistic_normal(x, w + step).right - logistic_normal(x, w - step).right) / (
        2.0 * step
    )
    by_logit = (logistic_normal(x + step, w).right - logistic_normal(x - step, w).right) / (
        2.0 * step
    )
    integral = logistic_normal(x, w)
    assert integral.bend == pytest.approx(2.0 * by_variance, abs=1e-7)
    assert integral.slope == pytest.approx(by_logit, abs=1e-7)


@given(
    st.floats(0.05, 10.0), st.floats(-20.0, 20.0), st.floats(1e-3, 1_000.0), SCORES,
)  # fmt: skip
def test_given_any_answer_then_it_lessens_the_variance_and_leaves_some(
    a: float, mean: float, variance: float, score: float
) -> None:
    lessened = evidence(ItemParameters(0.0, a), mean, variance, score).curvature * variance
    assert 0.0 <= lessened < 1.0
    if abs(a * mean) < 15.0:
        assert lessened > 0.0
