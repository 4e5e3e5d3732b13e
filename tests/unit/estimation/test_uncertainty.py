"""Uncertainty of mastery: gradients equal differences, and intervals are valid."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.examples import examples
from tests.support.factories import answer, calibrated_parameters, logs
from workers.estimation.answering import apply, unseen
from workers.estimation.documents import FORMULAS, parameters_of
from workers.estimation.items import ItemParameters
from workers.estimation.learner import ConceptState, Response
from workers.estimation.parameters import BktParameters, ConceptParameters, Parameters
from workers.estimation.replay import replay, replay_many
from workers.estimation.uncertainty import mastery_interval

FIVE = tuple(map(tuple, np.diag([0.2, 0.1, 0.05, 0.05, 0.3]).tolist()))
BKT = BktParameters(0.3, 0.12, 0.2, 0.1, 0.04, covariance=FIVE)
NAMES = ("prior", "learn", "guess", "slip", "forget")


def log_of(scores: list[float], step_s: int = 3600) -> list[Response]:
    return [answer(k, score=score, at=k * step_s) for k, score in enumerate(scores)]


def log_odds(model: BktParameters, log: list[Response], items: Any = None) -> float:
    state = replay(log, under(model, items)).concepts["c"]
    return math.log(state.mantissa) + state.exponent * math.log(2.0)


def under(model: BktParameters, items: Any = None) -> Parameters:
    return Parameters(2, concepts={"c": ConceptParameters(model)}, items=items or {})


def moved(model: BktParameters, name: str, by: float) -> BktParameters:
    value = getattr(model, name)
    changes: Any = {name: 1.0 / (1.0 + (1.0 - value) / value * math.exp(-by))}
    return replace(model, **changes)


@pytest.mark.parametrize("scores", [[1.0], [0.0], [0.4], [1.0, 0.0, 1.0, 0.3, 1.0, 1.0, 0.0] * 3])
@pytest.mark.parametrize("decay", [0.0, 0.8])
def test_given_answers_then_the_gradient_is_that_of_differences(
    decay: float, scores: list[float]
) -> None:
    model = replace(BKT, decay_per_day=decay)
    log = log_of(scores)
    gradient = replay(log, under(model)).concepts["c"].gradient
    step = 1e-5
    differences = [
        (log_odds(moved(model, name, step), log) - log_odds(moved(model, name, -step), log))
        / (2.0 * step)
        for name in NAMES
    ]
    assert gradient == pytest.approx(differences, rel=1e-6, abs=1e-8)


def test_given_an_item_with_its_own_guess_then_the_gradient_takes_that() -> None:
    items = {f"item-{k}": ItemParameters(guess=0.1 + k / 50, slip=0.2) for k in range(7)}
    (first,) = log_of([1.0])
    state = unseen("c", under(BKT, items))
    known = replay([first], under(BKT, items)).concepts["c"]
    plain = replay([first], under(replace(BKT, guess=0.1, slip=0.2))).concepts["c"]
    assert first.item_id == "item-0"
    assert known == plain
    assert state.gradient == (1.0, 0.0, 0.0, 0.0, 0.0)


def test_given_a_covariance_then_the_interval_is_that_of_the_delta_method() -> None:
    log = log_of([1.0, 0.0, 1.0])
    state = replay(log, under(BKT)).concepts["c"]
    g = np.array(state.gradient)
    reach = 1.959963984540054 * math.sqrt(g @ np.array(BKT.covariance) @ g)
    odds = state.mastery / (1.0 - state.mastery)
    interval = mastery_interval(state, BKT)
    assert interval == pytest.approx(
        [odds * math.exp(by) / (1.0 + odds * math.exp(by)) for by in (-reach, reach)]
    )


def test_given_no_covariance_or_an_older_state_then_there_is_no_interval() -> None:
    bare = replace(BKT, covariance=())
    log = log_of([1.0, 0.0, 1.0])
    learner = replay(log[:2], under(bare))
    assert learner.concepts["c"].gradient == ()
    assert mastery_interval(learner.concepts["c"], bare) is None
    assert mastery_interval(learner.concepts["c"], BKT) is None
    apply(learner, log[2], under(BKT))
    assert learner.concepts["c"].gradient == ()
    with_one = replay(log, under(BKT)).concepts["c"]
    assert with_one._replace(gradient=()) == learner.concepts["c"]
    assert mastery_interval(with_one, bare) is None


def test_given_a_covariance_and_many_replays_then_bits_are_as_one_by_one() -> None:
    many = [log_of([float((k * n) % 3 > 0) for k in range(n)]) for n in range(1, 40)]
    assert replay_many(many, under(BKT)) == [replay(log, under(BKT)) for log in many]
    assert all(
        len(learner.concepts["c"].gradient) == 5 for learner in replay_many(many, under(BKT))
    )


@settings(max_examples=examples(30))
@given(
    calibrated_parameters(),
    logs(max_size=10),
    st.sampled_from([0.0, 1.0, 0.5]),
    st.integers(0, 80),
)
def test_given_any_parameters_and_answers_then_intervals_are_sensible(
    parameters: Parameters, log: list[Response], score: float, more: int
) -> None:
    learner = replay(log, parameters)
    later = max(response.answered_at_us for response in log)
    for k in range(more):
        response = answer(k, score=score, concepts=["a", "d"], scale="math")
        apply(learner, response._replace(answered_at_us=later + 1 + k), parameters)
    for name, state in learner.concepts.items():
        model = parameters.of_concept(name)
        interval = mastery_interval(state, model)
        assert (interval is not None) == bool(model.covariance)
        if interval is not None:
            low, high = interval
            assert 0.0 <= low <= state.mastery <= high <= 1.0
            assert all(map(math.isfinite, state.gradient))


@pytest.mark.parametrize("score", [0.0, 1.0])
def test_given_countless_equal_answers_then_the_interval_holds_and_adapts(
    score: float,
) -> None:
    log = log_of([score] * 2_000, step_s=1)
    parameters = under(replace(BKT, forget=0.0, covariance=(*FIVE[:4], (0.0,) * 5)))
    learner = replay(log, parameters)
    model = parameters.of_concept("c")
    before = mastery_interval(learner.concepts["c"], model)
    assert before is not None
    assert 0.0 <= before[0] <= learner.concepts["c"].mastery <= before[1] <= 1.0
    assert learner.concepts["c"].gradient[4] == 0.0
    for k in range(2_000, 4_300):
        apply(learner, answer(k, score=1.0 - score), parameters)
    after = mastery_interval(learner.concepts["c"], model)
    assert after is not None
    assert after != before
    assert all(map(math.isfinite, after))


def test_given_a_gradient_too_large_to_square_then_mastery_is_unknown() -> None:
    state = ConceptState(0.5, 1, 3, 0, gradient=(1e200, 0.0, 0.0, 0.0, 0.0))
    low, high = mastery_interval(state, BKT) or (1.0, 0.0)
    assert low < 1e-80
    assert high == 1.0


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([[1.0]], r"covariance must have 5 rows of 5 numbers, not rows of 1"),
        ([[0.0] * 4] * 5, "not rows of 4, 4, 4, 4, 4"),
        ([[1e7, *[0.0] * 4], *[[0.0] * 5] * 4], "covariance must lie in"),
        ([[0.1, 0.05, *[0.0] * 3], *[[0.0] * 5] * 4], "must be symmetric"),
        (np.diag([0.1, -0.1, 0, 0, 0]).tolist(), "positive semidefinite, but has the eigenvalue"),
        ([[float("nan")] * 5] * 5, "covariance"),
    ],
)
def test_given_what_is_no_covariance_when_read_then_it_is_refused(rows: Any, said: str) -> None:
    bkt = {"prior": 0.3, "learn": 0.1, "guess": 0.2, "slip": 0.1, "covariance": rows}
    with pytest.raises(ValueError, match=said):
        parameters_of({"formulas": FORMULAS, "concepts": {"c": {"mastery": bkt}}})


def test_given_a_learner_never_seen_then_the_prior_has_an_interval() -> None:
    assert mastery_interval(unseen("c", under(BKT)), BKT) is not None
