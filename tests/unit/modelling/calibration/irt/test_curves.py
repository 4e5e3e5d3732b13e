"""Curves: they sum to 1, their derivatives are those of differences, extremes stay finite."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.item_banks import bank_of
from workers.modelling.calibration.irt.bank import MODELS, Item, Model
from workers.modelling.calibration.irt.curves import derivatives

LOGITS = st.floats(-4.0, 4.0)
SLOPES = st.floats(0.1, 4.0)


def item(model: Model, a: float, b: float, gap: float) -> Item:
    stepped = model in {"graded", "partial_credit"}
    thresholds = (b, b + gap, b + 2.5 * gap) if stepped else (b,)
    lower = 0.2 if model in {"3PL", "4PL"} else 0.0
    return Item(a, thresholds, lower, 0.9 if model == "4PL" else 1.0, model)


@pytest.mark.parametrize("model", MODELS)
@given(a=SLOPES, b=LOGITS, gap=st.floats(0.05, 2.0))
def test_given_any_item_when_its_steps_are_summed_then_it_is_1(
    model: Model, a: float, b: float, gap: float
) -> None:
    theta = np.linspace(-8.0, 8.0, 33)
    logs = bank_of([item(model, a, b, gap)]).groups[0].log_curves(theta)
    assert np.exp(logs).sum(axis=1) == pytest.approx(np.ones((1, 33)), abs=1e-12)


@pytest.mark.parametrize("model", MODELS)
@given(a=SLOPES, b=LOGITS, gap=st.floats(0.1, 2.0))
def test_given_any_item_when_a_parameter_moves_then_derivatives_say_how(
    model: Model, a: float, b: float, gap: float
) -> None:
    theta = np.linspace(-3.0, 3.0, 7)
    (group,) = bank_of([item(model, a, b, gap)]).groups
    slopes = derivatives(group.model, group.steps, group.parameters, theta, group.log_curves(theta))
    for k in range(group.parameters.shape[1]):
        ends = []
        for sign in (1.0, -1.0):
            moved = bank_of([item(model, a, b, gap)])
            parameters = group.parameters.copy()
            parameters[:, k] += sign * 1e-6
            ends.append(moved.with_parameters([parameters]).groups[0].log_curves(theta))
        slope = (ends[0] - ends[1]) / 2e-6
        assert slopes[:, k] == pytest.approx(slope, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("model", ["1PL", "2PL", "graded", "partial_credit"])
def test_given_abilities_far_out_when_logs_are_taken_then_no_step_is_lost(model: Model) -> None:
    logs = bank_of([item(model, 2.0, 0.0, 0.5)]).groups[0].log_curves(np.array([-300.0, 300.0]))
    assert np.isfinite(logs).all()
    assert logs.min() < -500.0


def test_given_items_of_several_models_in_a_bank_then_they_come_back() -> None:
    items = [item(model, 1.1, -0.3, 0.4) for model in (*MODELS, *MODELS)]
    for curves, other in zip(bank_of(items).items(), items, strict=True):
        assert curves.model == other.model
        assert [
            curves.discrimination,
            *curves.thresholds,
            curves.lower,
            curves.upper,
        ] == pytest.approx(
            [other.discrimination, *other.thresholds, other.lower, other.upper], abs=1e-12
        )


def test_given_asymptotes_in_a_bank_then_they_count_under_any_name() -> None:
    low, both = Item(1.0, (0.0,), 0.2, 1.0, "2PL"), Item(1.0, (0.0,), 0.0, 0.9, "2PL")
    assert [item.model for item in bank_of([low, both]).items()] == ["3PL", "4PL"]


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (Item(float("nan"), (0.0,)), "item 0 must have finite numbers"),
        (Item(1.0, ()), "item 0 must have finite numbers"),
        (Item(1.0, (0.0,), 0.5, 0.4), "0 ≤ lower < upper ≤ 1"),
    ],
)
def test_given_an_invalid_item_for_a_bank_then_the_error_names_it(bad: Item, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        bank_of([bad])
