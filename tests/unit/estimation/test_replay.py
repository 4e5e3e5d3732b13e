"""Replaying: one by one and all at once give the same bits, and those of exact arithmetic."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import oracle
from tests.support.examples import THOROUGH
from tests.support.factories import answer, bkt_parameters, learner_log, logs, rows
from workers.estimation import replay as module
from workers.estimation.learner import Learner, Response
from workers.estimation.parameters import BktParameters, Parameters
from workers.estimation.replay import replay, replay_many

# Coverage would take most of their time, and many other tests run the same lines.
pytestmark = pytest.mark.untraced

CLASSICAL = Parameters()


@given(st.lists(logs(max_size=12), max_size=8), bkt_parameters())
def test_given_any_logs_when_replayed_wide_then_bits_are_as_one_by_one(
    many: list[list[Response]], bkt: BktParameters
) -> None:
    parameters = Parameters(version=3, default=bkt)
    one_by_one = [replay(log, parameters) for log in many]
    assert replay_many(many, parameters) == one_by_one
    if any(many):
        bare = replace(parameters, default=replace(bkt, covariance=()))
        assert module._replay_wide(many, bare) == [replay(log, bare) for log in many]


@pytest.mark.parametrize("learners", [0, 1, 2, 200])
def test_given_few_or_many_learners_then_the_replay_has_the_same_bits(learners: int) -> None:
    many = [learner_log(5 + seed % 30, seed) for seed in range(learners)]
    many[1:1] = [[]] if learners else []
    assert replay_many(many, CLASSICAL) == [replay(log, CLASSICAL) for log in many]


@given(st.data(), logs())
def test_given_a_log_in_any_order_when_replayed_then_the_state_is_the_same(
    data: st.DataObject, log: list[Response]
) -> None:
    shuffled = data.draw(st.permutations(log))
    assert replay(shuffled, CLASSICAL) == replay(log, CLASSICAL)
    assert module._replay_wide([shuffled], CLASSICAL) == [replay(log, CLASSICAL)]


def test_given_an_empty_log_when_replayed_then_it_is_a_new_learner() -> None:
    assert replay([], CLASSICAL) == Learner()
    assert replay_many([[], []], CLASSICAL) == [Learner(), Learner()]


def test_given_long_mixed_logs_when_replayed_wide_then_the_oracle_agrees() -> None:
    many = [learner_log(400, seed, concepts=5) for seed in range(40)]
    for log, state in zip(many, replay_many(many, CLASSICAL), strict=True):
        truth = oracle.replay(rows(log))
        assert state.concepts.keys() == truth.concepts.keys()
        for concept, mastery in truth.mastery().items():
            assert abs(Decimal(state.concepts[concept].mastery) - mastery) <= Decimal("1e-12")
            assert state.concepts[concept].attempts == truth.concepts[concept].attempts


def test_given_many_right_answers_then_wrong_ones_still_bring_it_down() -> None:
    # Odds of 2^2000 are beyond a float's range already.
    right = 20_000 if THOROUGH else 1_000
    log = [answer(k, score=1.0) for k in range(right)]
    wrong = [answer(right + k, score=0.0) for k in range(816 * right // 1_000)]
    high, low = module._replay_wide([log, log + wrong], CLASSICAL)
    assert high.concepts["c"].mastery == 1.0
    assert high.concepts["c"].exponent > 2 * right
    truth = oracle.replay(rows(log + wrong)).mastery()["c"]
    assert low.concepts["c"].mastery < 0.999
    assert abs(Decimal(low.concepts["c"].mastery) - truth) <= Decimal("1e-12")
