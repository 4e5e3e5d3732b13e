"""The kernel of many learners: equal to the formulas taken one by one."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.estimation.bkt import probability, update
from workers.estimation.informed import InformedParameters
from workers.estimation.items import ItemParameters
from workers.estimation.online import Learners, Questions, answer_many
from workers.estimation.scales import evidence

LOGITS = st.floats(-4.0, 4.0)
CHANCES = st.floats(0.001, 0.6)
STATES = st.tuples(
    st.floats(0.5, 0.999), st.integers(-30, 60), LOGITS, st.floats(0.01, 2.0), LOGITS,
    st.floats(0.0, 1.0),
)  # fmt: skip
ASKED = st.tuples(
    st.floats(0.1, 3.0), LOGITS, st.floats(-3.0, 0.0), st.floats(0.1, 3.0), st.floats(0.0, 1.5),
    CHANCES, st.one_of(st.just(0.0), st.floats(0.001, 0.3)), st.floats(0.0, 0.1),
    st.floats(0.0, 0.1), st.floats(-0.1, 0.1),
)  # fmt: skip


def sigmoid(x: float) -> float:
    return 1.0 / (1.0 + math.exp(-x))


def by_hand(
    state: tuple[float, int, float, float, float, float], asked: tuple[float, ...], score: float
) -> tuple[list[float], float]:
    mantissa, exponent, theta, variance, deviation, looseness = state
    a, b, unknown, known, weight, learn, forget, walk, deviation_walk, drift = asked
    slope = a / math.sqrt(1.0 + math.pi / 8.0 * a * a * (variance + looseness))
    z = slope * (theta + deviation - b)
    low, high = sigmoid(unknown + weight * z), sigmoid(known + weight * z)
    mastery = probability(mantissa, exponent)
    right = high / low
    wrong = sigmoid(-known - weight * z) / sigmoid(-unknown - weight * z)
    odds = update(mantissa, exponent, right**score * wrong ** (1.0 - score), learn, forget)
    gradient = slope * (score - sigmoid(z))
    curvature = slope**2 * sigmoid(z) * sigmoid(-z)
    return [
        math.log(odds[0]) + odds[1] * math.log(2.0),
        theta + variance * gradient,
        variance - curvature * variance**2 + walk,
        deviation + looseness * gradient + drift,
        looseness - curvature * looseness**2 + deviation_walk,
    ], mastery * high + (1.0 - mastery) * low


@given(st.lists(st.tuples(STATES, ASKED, st.sampled_from([0.0, 1.0, 0.3])), min_size=1, max_size=8))
def test_given_learners_when_answered_together_then_each_is_as_by_hand(
    cases: list[tuple[tuple[float, int, float, float, float, float], tuple[float, ...], float]],
) -> None:
    states, asked, scores = zip(*cases, strict=True)
    mantissa, exponent, *rest = zip(*states, strict=True)
    found = answer_many(
        Learners(
            np.array(mantissa), np.array(exponent, dtype=np.int64), *(np.array(x) for x in rest)
        ),
        Questions(*np.array(asked).T),
        np.array(scores),
    )
    for n, case in enumerate(cases):
        numbers, predicted = by_hand(*case)
        after = found.learners
        log_odds = math.log(after.mantissa[n]) + after.exponent[n] * math.log(2.0)
        assert [log_odds, *(column[n] for column in after[2:])] == pytest.approx(
            numbers, rel=1e-11, abs=1e-11
        )
        assert found.probability[n] == pytest.approx(predicted, abs=1e-13)


def test_given_endless_right_or_wrong_answers_when_taken_then_nothing_overflows_or_sticks() -> None:
    two = np.ones(2)
    learners = Learners(
        0.5 * two, np.zeros(2, dtype=np.int64), 0.0 * two, two, 0.0 * two, 0.3 * two
    )
    columns = (1.0, 0.0, -1.0, 1.5, 0.8, 0.1, 0.01, 0.001, 0.001, 0.0)
    asked = Questions(*(x * two for x in columns))
    scores = np.array([1.0, 0.0])
    for _ in range(3_000):
        learners, predicted = answer_many(learners, asked, scores)
        assert ((predicted > 0.0) & (predicted < 1.0)).all()
    assert np.isfinite(np.array(learners[2:])).all()
    high, low = learners.theta
    assert low < 0.0 < high
    for _ in range(200):
        learners, predicted = answer_many(learners, asked, 1.0 - scores)
    assert predicted[0] < predicted[1]


@given(st.lists(st.tuples(STATES, ASKED, st.sampled_from([0.0, 1.0, 0.3])), min_size=1, max_size=5))
def test_given_learners_when_answered_together_then_each_is_as_the_engine_takes_them(
    cases: list[tuple[tuple[float, int, float, float, float, float], tuple[float, ...], float]],
) -> None:
    for state, asked, score in cases:
        mantissa, exponent, theta, variance, deviation, looseness = state
        a, b, unknown, known, weight, learn, forget, *_ = asked
        column = [np.array([x]) for x in state]
        seen = evidence(ItemParameters(b, a), theta + deviation, variance + looseness, score)
        model = InformedParameters(unknown, unknown + known, weight, 0.0, 0.0, learn, forget)
        numbers = (a, b, unknown, unknown + known, *asked[4:])
        found = answer_many(
            Learners(*column), Questions(*(np.array([x]) for x in numbers)), np.array([score])
        )
        odds, power = update(mantissa, exponent, model.ratio(seen.z, score), learn, forget)
        assert found.learners.theta[0] == pytest.approx(theta + variance * seen.gradient, abs=1e-12)
        assert math.log(found.learners.mantissa[0]) + found.learners.exponent[0] * math.log(
            2.0
        ) == pytest.approx(math.log(odds) + power * math.log(2.0), abs=1e-11)
