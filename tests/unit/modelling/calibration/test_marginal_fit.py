"""Items by marginal maximum likelihood, as parameters of the engine."""

import numpy as np
import pytest

from tests.support.examples import THOROUGH
from tests.support.factories import answer
from tests.support.predicted import predict
from workers.estimation.items import ItemParameters
from workers.estimation.learner import Response
from workers.estimation.metrics import log_loss
from workers.estimation.quadrature import step_probabilities
from workers.modelling.calibration.fitting import fit
from workers.modelling.calibration.irt.marginal_fit import steps_of
from workers.modelling.calibration.log_tables import table_of


def _answers(learners: int, items: int, seed: int) -> tuple[list[list[Response]], np.ndarray]:
    """Logs of learners who answer each item once, and its discrimination and difficulty."""
    draw = np.random.default_rng(seed)
    a, b = np.exp(draw.normal(0.0, 0.3, items)), draw.normal(0.0, 1.0, items)
    theta = draw.normal(0.0, 1.0, learners)
    right = draw.random((learners, items)) < 1.0 / (1.0 + np.exp(-a * (theta[:, None] - b)))
    logs = [
        [answer(k, score=float(score), item=f"q{k}") for k, score in enumerate(row)]
        for row in right
    ]
    return logs, np.array([a, b])


def test_given_2pl_answers_then_the_truth_lies_within_standard_errors() -> None:
    logs, truth = _answers(1500 if THOROUGH else 700, 20, 3)
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
def test_given_a_fitted_model_then_only_its_own_parameters_have_errors(
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


def _stepped(
    learners: int, items: list[ItemParameters], seed: int
) -> tuple[list[list[Response]], np.ndarray]:
    draw = np.random.default_rng(seed)
    theta = draw.normal(0.0, 1.0, learners)
    scores = np.empty((learners, len(items)))
    for k, item in enumerate(items):
        steps = len(item.thresholds) or 1
        reached = (
            step_probabilities(item, theta)
            if item.thresholds
            else np.array([1.0 - 1.0 / (1.0 + np.exp(-theta)), 1.0 / (1.0 + np.exp(-theta))])
        )
        scores[:, k] = (draw.random(learners) > np.cumsum(reached, axis=0)).sum(axis=0) / steps
    # As a publisher writes them.
    scores = scores.round(2)
    logs = [
        [answer(k, score=float(score), item=f"q{k}") for k, score in enumerate(row)]
        for row in scores
    ]
    return logs, scores


_THRESHOLDS = [(-0.8, 0.4), (-1.0, 0.0, 1.2), (), (-0.3, 0.9), (-0.5, 0.1, 0.6, 1.5), ()]


@pytest.mark.parametrize(
    ("model", "steps"), [("graded", "graded"), ("partial-credit", "partial_credit")]
)
def test_given_scores_in_steps_then_thresholds_lie_within_their_errors(
    model: str, steps: str
) -> None:
    items = [
        ItemParameters(
            thresholds=thresholds, steps="graded" if steps == "graded" else "partial_credit"
        )
        for thresholds in _THRESHOLDS * 2
    ]
    logs, scores = _stepped(500 if THOROUGH else 300, items, 11)
    fitted = fit(model, logs)
    off: list[float] = []
    for k, truth in enumerate(items):
        item, errors = fitted.parameters.items[f"q{k}"], fitted.item_errors[f"q{k}"]
        assert len(item.thresholds) == len(truth.thresholds)
        if truth.thresholds:
            assert item.steps == steps
        names = [f"threshold_{n + 1}" for n in range(len(truth.thresholds))] or ["difficulty"]
        assert errors.keys() == {"discrimination", *names}
        for name, threshold, true in zip(
            names, item.thresholds or [item.difficulty], truth.thresholds or [0.0], strict=True
        ):
            error = errors[name]
            assert error is not None
            off.append((threshold - true) / error)
    assert np.sqrt(np.mean(np.square(off))) == pytest.approx(1.0, abs=0.35)

    # The log likelihood told is what the engine itself predicts, answer by answer.
    expected = np.array([[p for _, p, _ in predict(log, fitted.parameters)] for log in logs])
    told = fitted.log_likelihood[logs[0][0].concept_ids[0]]
    assert -told / scores.size == pytest.approx(
        log_loss(scores.ravel(), expected.ravel()), rel=1e-9
    )


def test_given_scores_when_steps_are_sought_then_the_fewest_are_found() -> None:
    scores = {
        "right or wrong": ([0.0, 1.0], 1),
        "halves": ([0.0, 0.5, 1.0], 2),
        "thirds of two digits": ([0.33, 0.67, 1.0], 3),
        "quarters": ([0.25, 0.5], 4),
        "sixths of two digits": ([0.17, 0.83], 6),
        "tenths": ([0.3], 10),
        "any": ([0.123, 0.456], 10),
    }
    log = [
        answer(n, score=score, item=item)
        for n, (item, score) in enumerate((i, s) for i, (all_, _) in scores.items() for s in all_)
    ]
    table, _ = table_of([log])
    assert dict(zip(table.items, steps_of(table).tolist(), strict=True)) == {
        item: steps for item, (_, steps) in scores.items()
    }


def test_given_right_and_wrong_alone_in_steps_then_it_is_the_2pl() -> None:
    logs, _ = _answers(200 if THOROUGH else 100, 8, 5)
    assert fit("graded", logs) == fit("2pl", logs) == fit("partial-credit", logs)


def test_given_an_item_seen_once_in_steps_then_its_thresholds_are_ordered() -> None:
    logs, _ = _stepped(60 if THOROUGH else 30, [ItemParameters(thresholds=(-0.5, 0.5))] * 4, 3)
    logs[0].append(answer(9, score=0.3, item="seen once"))
    for model in ("graded", "partial-credit"):
        fitted = fit(model, logs)
        rare = fitted.parameters.items["seen once"]
        assert len(rare.thresholds) == 10
        assert np.isfinite(rare.thresholds).all()
        assert np.isfinite([*fitted.log_likelihood.values()]).all()
