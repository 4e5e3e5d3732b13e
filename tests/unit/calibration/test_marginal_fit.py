"""Items by marginal maximum likelihood, as parameters of the engine."""

import numpy as np
import pytest

from tests.factories import answer
from workers.calibration.fitting import fit
from workers.estimation.learner import Response


def _answers(learners: int, items: int, seed: int) -> tuple[list[list[Response]], np.ndarray]:
    """Logs of learners who answer each item once, and its discrimination and difficulty."""
    draw = np.random.default_rng(seed)
    a, b = np.exp(draw.normal(0.0, 0.3, items)), draw.normal(0.0, 1.0, items)
    theta = draw.normal(0.0, 1.0, learners)
    right = draw.random((learners, items)) < 1.0 / (1.0 + np.exp(-a * (theta[:, None] - b)))
    logs = [
        [answer(k, score=float(one), item=f"q{k}") for k, one in enumerate(row)] for row in right
    ]
    return logs, np.array([a, b])


def test_given_2pl_answers_when_fitted_then_the_truth_lies_within_its_standard_errors() -> None:
    logs, truth = _answers(1500, 20, 3)
    fitted = fit("2pl", logs)
    off = []
    for k, (a, b) in enumerate(truth.T):
        item, errors = fitted.parameters.items[f"q{k}"], fitted.item_errors[f"q{k}"]
        assert errors.keys() == {"difficulty", "discrimination"}
        told = errors["difficulty"], errors["discrimination"]
        assert told[0] is not None
        assert told[1] is not None
        off += [(item.difficulty - b) / told[0], (item.discrimination - a) / told[1]]
    assert np.sqrt(np.mean(np.square(off))) == pytest.approx(1.0, abs=0.35)
    scale = fitted.parameters.any_scale
    assert scale is not None
    assert (scale.mean, scale.variance, scale.predicts) == (0.0, 1.0, True)


@pytest.mark.parametrize(
    ("model", "told"),
    [
        ("1pl", {"difficulty", "discrimination"}),
        ("3pl", {"difficulty", "discrimination", "lower"}),
        ("4pl", {"difficulty", "discrimination", "lower", "upper"}),
    ],
)
def test_given_a_model_when_fitted_then_its_parameters_have_errors_and_the_others_are_usual(
    model: str, told: set[str]
) -> None:
    logs, _ = _answers(200, 8, 5)
    fitted = fit(model, logs)
    for name, item in fitted.parameters.items.items():
        assert fitted.item_errors[name].keys() == told
        assert (item.lower > 0.0) == ("lower" in told)
        assert (item.upper < 1.0) == ("upper" in told)
    slopes = {item.discrimination for item in fitted.parameters.items.values()}
    assert (len(slopes) == 1) == (model == "1pl")
