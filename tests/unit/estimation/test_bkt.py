"""Mastery: the update against exact arithmetic, at the ends and in the middle."""

import math
from decimal import Decimal, localcontext
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import oracle
from tests.support.factories import bkt_parameters, scores
from workers.estimation.bkt import (
    answer_probabilities,
    likelihood_ratio,
    probability,
    update,
    update_many,
)
from workers.estimation.parameters import CLASSICAL, BktParameters

# Coverage would take most of their time, and many other tests run the same lines.
pytestmark = pytest.mark.untraced

Odds = tuple[float, int]


def after(odds: Odds, parameters: BktParameters, *scores: float) -> Odds:
    for score in scores:
        ratio = likelihood_ratio(parameters, score)
        odds = update(*odds, ratio, parameters.learn, parameters.forget)
    return odds


def exact(parameters: BktParameters) -> oracle.Bkt:
    p = parameters
    return oracle.Bkt.of_floats(p.prior, p.learn, p.guess, p.slip, p.forget)


def test_given_the_classical_prior_and_no_answer_then_mastery_is_a_quarter() -> None:
    assert probability(*CLASSICAL.prior_odds) == 0.25
    assert answer_probabilities(0.25, CLASSICAL, None)[0] == pytest.approx(
        0.25 * 0.9 + 0.75 * 0.2, abs=1e-16
    )


@pytest.mark.parametrize(
    ("score", "expected"),
    [
        # P(L|right) = .25·.9 / (.25·.9 + .75·.2) = .6; .6 + .4·.1 = .64
        (1.0, 0.64),
        # P(L|wrong) = .25·.1 / (.25·.1 + .75·.8) = .04; .04 + .96·.1 = .136
        (0.0, 0.136),
        # √(.9·.1) = .3 and √(.2·.8) = .4: .075 / (.075 + .3) = .2; .2 + .8·.1 = .28
        (0.5, 0.28),
    ],
)
def test_given_the_prior_and_one_answer_then_mastery_is_the_hand_computed(
    score: float, expected: float
) -> None:
    assert probability(*after(CLASSICAL.prior_odds, CLASSICAL, score)) == pytest.approx(
        expected, abs=1e-15
    )


def test_given_100000_right_and_100000_wrong_then_mastery_is_exact() -> None:
    odds = CLASSICAL.prior_odds
    chain = oracle.Chain(oracle.CLASSICAL.prior, 1 - oracle.CLASSICAL.prior)
    worst = Decimal(0)
    lowest = 1.0
    with localcontext(oracle.exactly()):
        for number in range(200_000):
            score = 1.0 if number < 100_000 else 0.0
            odds = after(odds, CLASSICAL, score)
            chain.answer(oracle.CLASSICAL, score)
            if number == 99_999:
                # 1 - p is some 10^-69,900, and all of its digits are there.
                assert chain.unknown / chain.known < Decimal("1e-69000")
                assert abs(_odds(odds) * chain.unknown / chain.known - 1) < Decimal("1e-11")
                assert probability(*odds) == 1.0
            if number % 50 == 0 or 181_000 < number < 182_000:
                mastery = probability(*odds)
                lowest = min(lowest, mastery)
                worst = max(worst, abs(Decimal(mastery) - chain.p()))
    assert worst <= Decimal("1e-12")
    # The fixed point of ever wrong answers: p = q + (1 - q)/10 with q = p/(8 - 7p), so 4/35.
    assert probability(*odds) == pytest.approx(4 / 35, abs=1e-15)
    assert lowest < 0.2


def test_given_a_frozen_float_replay_then_ours_comes_down_and_it_does_not() -> None:
    """The trap that this representation is there for."""
    p = 0.25
    for _ in range(60):
        p = p * 0.9 / (p * 0.9 + (1 - p) * 0.2)
        p = p + (1 - p) * 0.1
    for _ in range(40):
        p = p * 0.1 / (p * 0.1 + (1 - p) * 0.8)
        p = p + (1 - p) * 0.1
    ours = probability(*after(CLASSICAL.prior_odds, CLASSICAL, *[1.0] * 60, *[0.0] * 60))
    assert p == 1.0
    assert ours < 0.12


def test_given_no_learning_and_all_wrong_then_knowing_never_quite_vanishes() -> None:
    parameters = BktParameters(prior=0.5, learn=0.0, guess=0.2, slip=0.1)
    odds = after(parameters.prior_odds, parameters, *[0.0] * 20_000)
    assert probability(*odds) == 0.0
    assert odds[0] > 0
    back = after(odds, parameters, *[1.0] * 40_000)
    assert probability(*back) == 1.0


@given(bkt_parameters(), st.lists(scores(), max_size=40))
def test_given_any_parameters_and_answers_then_mastery_is_the_exact_one(
    parameters: BktParameters, answers: list[float]
) -> None:
    bkt = exact(parameters)
    odds = parameters.prior_odds
    with localcontext(oracle.exactly()):
        chain = oracle.Chain(bkt.prior, 1 - bkt.prior)
        for score in answers:
            predicted = Decimal(answer_probabilities(probability(*odds), parameters, None)[0])
            assert abs(predicted - chain.probability_correct(bkt)) <= Decimal("1e-12")
            odds = after(odds, parameters, score)
            chain.answer(bkt, score)
            assert abs(Decimal(probability(*odds)) - chain.p()) <= Decimal("1e-12")
            assert abs(_odds(odds) * chain.unknown / chain.known - 1) <= Decimal("1e-12")


def _odds(odds: Odds) -> Decimal:
    return Decimal(odds[0]) * Decimal(2) ** odds[1]


@given(
    st.lists(
        st.tuples(
            bkt_parameters(),
            scores(),
            st.floats(0.5, 1, exclude_max=True),
            st.integers(-300_000, 300_000) | st.integers(-1_200, 1_200),
        ),
        min_size=1,
        max_size=12,
    )
)
def test_given_many_learners_together_then_the_bits_are_as_one_by_one(
    cases: list[tuple[BktParameters, float, float, int]],
) -> None:
    answered = [(p, likelihood_ratio(p, s), m, e) for p, s, m, e in cases]
    mantissa, exponent = update_many(
        np.array([m for _, _, m, _ in answered]),
        np.array([e for *_, e in answered], dtype=np.int64),
        np.array([r for _, r, _, _ in answered]),
        np.array([p.learn for p, *_ in answered]),
        np.array([p.forget for p, *_ in answered]),
    )
    alone = [update(m, e, r, p.learn, p.forget) for p, r, m, e in answered]
    assert list(zip(mantissa.tolist(), exponent.tolist(), strict=True)) == alone


@given(bkt_parameters(), st.floats(0.5, 1, exclude_max=True), st.integers(-50, 50))
def test_given_any_state_and_a_better_answer_then_mastery_is_no_lower(
    parameters: BktParameters, mantissa: float, exponent: int
) -> None:
    if parameters.learn + parameters.forget > 1:
        return  # who learns and forgets at once that surely knows less for knowing more
    masteries = [
        probability(*after((mantissa, exponent), parameters, score)) for score in (0.0, 0.5, 1.0)
    ]
    assert all(low <= high + 1e-15 for low, high in pairwise(masteries))
    assert all(0.0 <= mastery <= 1.0 and math.isfinite(mastery) for mastery in masteries)
