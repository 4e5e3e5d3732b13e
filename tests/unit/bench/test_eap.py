"""The reference for the filter: right at any length, finite for any record."""

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.eap import Abilities, eap
from tests.support.item_banks import bank_of
from tests.support.simulated_items import drawn
from workers.modelling.calibration.irt.bank import MODELS, Item, Model
from workers.modelling.calibration.irt.response_data import ResponseData


def some_items(model: Model, number: int, seed: int = 1) -> list[Item]:
    draw = np.random.default_rng(seed)
    stepped = model in {"graded", "partial_credit"}
    return [
        Item(
            float(draw.uniform(0.6, 1.7)),
            tuple(float(draw.normal()) + np.linspace(-0.8, 0.8, 3))
            if stepped
            else (draw.normal(),),
            0.2 if model in {"3PL", "4PL"} else 0.0,
            0.95 if model == "4PL" else 1.0,
            model,
        )
        for _ in range(number)
    ]


def record(items: list[Item], scores: list[float]) -> Abilities:
    """One person, item after item, again from the first when all are through."""
    number = np.arange(len(scores)) % len(items)
    answers = ResponseData(
        np.zeros(len(scores), dtype=np.int64), number, np.array(scores), 1, len(items)
    )
    return eap(bank_of(items), answers)


@pytest.mark.parametrize("scores", [[1.0] * 10_000, [0.0, 1.0] * 5_000, [0.0, 1.0, 1.0] * 40])
def test_given_any_length_then_moments_are_those_of_exact_integrals(
    scores: list[float],
) -> None:
    right = sum(scores)
    wrong = len(scores) - right

    def density(theta: mp.mpf) -> mp.mpf:
        return mp.exp(
            -(theta**2) / 2 - right * mp.log1p(mp.exp(-theta)) - wrong * mp.log1p(mp.exp(theta))
        )

    estimates = record([Item(1.0, (0.0,))], scores)
    at, error = float(estimates.theta[0]), float(estimates.standard_error[0])
    with mp.workdps(30):
        parts = [at + k * error for k in range(-12, 13, 3)]
        total, first, second = (
            mp.quad(lambda t, k=k: (t - at) ** k * density(t), parts) for k in range(3)
        )
        mean, variance = first / total, second / total - (first / total) ** 2
    assert abs(float(mean)) < 1e-6 * error
    assert error == pytest.approx(float(mp.sqrt(variance)), rel=1e-5)
    assert estimates.lower[0] < at < estimates.upper[0]


@pytest.mark.parametrize("model", MODELS)
def test_given_all_right_or_all_wrong_then_it_is_finite_on_its_side(
    model: Model,
) -> None:
    items = some_items(model, 20)
    for length in (1, 20, 400):
        low = record(items, [0.0] * length)
        high = record(items, [1.0] * length)
        assert np.isfinite([*low, *high]).all()
        assert low.theta[0] < high.theta[0]
        assert max(abs(low.theta[0]), abs(high.theta[0])) <= 10.0
    assert low.theta[0] < -1.5
    assert high.theta[0] > 1.5


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=5)
def test_given_another_order_when_estimated_then_it_is_the_same(seed: int) -> None:
    items = some_items("2PL", 12) + some_items("graded", 5)
    draw = np.random.default_rng(seed)
    answers = drawn(items, draw.normal(size=4), seed, missing=0.3)
    order = draw.permutation(answers.score.size)
    other = ResponseData(
        answers.person[order], answers.item[order], answers.score[order], 4, len(items)
    )
    first = np.array(eap(bank_of(items), answers))
    second = np.array(eap(bank_of(items), other))
    assert second == pytest.approx(first, abs=1e-9)


def test_given_no_answer_when_estimated_then_it_is_the_prior() -> None:
    nobody = ResponseData(
        np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64), np.empty(0), 1, 1
    )
    estimate = eap(bank_of([Item(1.0, (0.0,))]), nobody)
    assert np.array(estimate)[:, 0] == pytest.approx([0.0, 1.0, -1.96, 1.96], abs=2e-3)
