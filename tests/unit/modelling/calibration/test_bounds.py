"""Fits whose parameters stand at a bound: valid all the same, and so are their means."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.examples import THOROUGH
from tests.support.factories import answer
from workers.estimation.documents import parameters_document, parameters_of
from workers.estimation.items import ItemParameters
from workers.modelling.calibration.fitting import MODELS, fit
from workers.modelling.calibration.irt.recipe import mean_item

LEARNERS, ITEMS = 400 if THOROUGH else 130, 12


@pytest.mark.usefixtures("few_parts", "shared_parts")
@pytest.mark.parametrize("model", [name for name in MODELS if name != "classical"])
@pytest.mark.parametrize("steps", [1, 2])
def test_given_a_guttman_scale_when_fitted_then_all_parameters_are_valid(
    model: str, steps: int
) -> None:
    logs = [
        [
            answer(k, item=f"q{k}", score=min(max(who % (ITEMS + 1) - k, 0), steps) / steps)
            for k in range(ITEMS)
        ]
        for who in range(LEARNERS)
    ]
    fitted = fit(model, logs)
    assert parameters_of(parameters_document(fitted.parameters)) == fitted.parameters
    assert all(map(math.isfinite, fitted.log_likelihood.values()))
    slopes = [item.discrimination for item in fitted.parameters.items.values()]
    if model in {"2pl", "graded", "partial-credit"} and steps == 1:
        # All at the cap, which is what this test is about.
        assert set(slopes) == {10.0}


@given(
    st.lists(
        st.builds(
            ItemParameters,
            difficulty=st.floats(-30.0, 30.0),
            discrimination=st.sampled_from([1e-3, 0.05, 10.0]) | st.floats(1e-3, 10.0),
            lower=st.sampled_from([0.0, 0.3]) | st.floats(0.0, 0.4),
            upper=st.sampled_from([0.7, 1.0]) | st.floats(0.5, 1.0),
        ),
        min_size=1,
        max_size=40,
    ),
    st.integers(1, 30),
)
def test_given_items_at_their_bounds_then_the_mean_lies_between_them(
    items: list[ItemParameters], repeats: int
) -> None:
    mean = mean_item(items * repeats)
    for name in ("difficulty", "discrimination", "lower", "upper"):
        values = [getattr(item, name) for item in items]
        assert min(values) <= getattr(mean, name) <= max(values)
