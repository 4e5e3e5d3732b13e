"""Fits: true to the engine, better than what they started from, finite whatever comes."""

import math
from dataclasses import replace

import numpy as np
import pytest

from tests.support.examples import THOROUGH
from tests.support.factories import answer
from tests.support.simulated_learners import simulated
from workers.estimation.answering import apply
from workers.estimation.documents import parameters_document, parameters_of
from workers.estimation.learner import Learner, Response
from workers.estimation.parameters import BktParameters, Parameters
from workers.modelling.calibration.bkt.em import em
from workers.modelling.calibration.bkt.fit import WEAK_PRIORS, BetaPriors, _starts, fit_bkt
from workers.modelling.calibration.bkt.forest import forest_of
from workers.modelling.calibration.bkt.optimiser import optimise
from workers.modelling.calibration.fitting import MODELS, fit
from workers.modelling.calibration.log_tables import table_of

LOGS = simulated(150, 11)
LENGTH = 12 if THOROUGH else 4


def log_likelihoods(logs: list[list[Response]], parameters: Parameters) -> dict[str, float]:
    masteries: dict[str, float] = {}
    for log in logs:
        learner = Learner()
        for response in log:
            p = apply(learner, response, parameters).probability_correct
            (concept,) = response.concept_ids
            masteries[concept] = masteries.get(concept, 0.0) + math.log(
                p if response.correct else 1 - p
            )
    return masteries


@pytest.mark.parametrize("model", ["bkt", "bkt-forgets", "kt-idem", "irt"])
def test_given_a_fit_then_its_log_likelihood_is_that_of_engine_predictions(
    model: str,
) -> None:
    fitted = fit(model, LOGS)
    assert fitted.log_likelihood == pytest.approx(log_likelihoods(LOGS, fitted.parameters))


@pytest.mark.usefixtures("few_parts")
def test_given_other_learners_then_richer_models_predict_them_better() -> None:
    logs = simulated(400 if THOROUGH else 250, 12)
    values = {
        model: sum(log_likelihoods(logs[:100], fit(model, logs[100:]).parameters).values())
        for model in ("classical", "bkt-forgets", "bkt-irt")
    }
    assert values["classical"] < values["bkt-forgets"] < values["bkt-irt"]


@pytest.mark.usefixtures("few_parts", "shared_parts")
@pytest.mark.parametrize("model", list(MODELS))
@pytest.mark.parametrize(
    "logs",
    [
        [[answer(0)]],
        [[answer(k, score=1.0) for k in range(LENGTH)] for _ in range(6)],
        [[answer(k, score=0.0) for k in range(LENGTH)] for _ in range(6)],
        [[answer(k, score=(k % 3) / 2, concepts=["a", "b"][: 1 + k % 2])] for k in range(9)],
    ],
    ids=["one answer", "all right", "all wrong", "partial credit"],
)
def test_given_scarce_or_one_sided_data_then_parameters_predict_sensibly(
    model: str, logs: list[list[Response]]
) -> None:
    fitted = fit(model, logs)
    assert parameters_of(parameters_document(fitted.parameters)) == fitted.parameters
    learner = Learner()
    told = [apply(learner, response, fitted.parameters) for response in logs[0] * 5]
    assert all(0.0 < outcome.probability_correct < 1.0 for outcome in told)
    new = answer(99, concepts=["never seen"], item="nor this")
    assert 0.0 < apply(learner, new, fitted.parameters).probability_correct < 1.0
    if model != "classical":
        assert all(map(math.isfinite, fitted.log_likelihood.values()))
        assert fitted.warnings
    if len(logs) == 6 and model != "classical":
        assert any(
            f"{LENGTH} answers" in w or f"{6 * LENGTH} answers are alike" in w
            for w in fitted.warnings
        )


def test_given_many_learners_then_classical_parameters_are_found_again() -> None:
    truth = np.array([[0.3], [0.15], [0.2], [0.1], [0.05]])
    draw = np.random.default_rng(5)
    logs = []
    for _ in range(3000):
        known, log = draw.random() < 0.3, []
        for k in range(12):
            log.append(answer(k, score=float(draw.random() < (0.9 if known else 0.2))))
            known = draw.random() >= 0.05 if known else draw.random() < 0.15
        logs.append(log)
    table, _ = table_of(logs)
    fitted = fit_bkt(table, forgets=True, priors=BetaPriors())
    assert fitted.converged.all()
    assert fitted.parameters == pytest.approx(truth, abs=0.05)
    assert fitted.log_likelihood >= em(forest_of(table), truth, np.array(BetaPriors()))[1]


def test_given_any_start_when_em_steps_then_the_objective_never_falls() -> None:
    tree = forest_of(table_of(LOGS)[0])
    for priors in (BetaPriors(), WEAK_PRIORS):
        for start in _starts(2, forgets=True, places=5, seed=1):
            here, values = start, []
            for _ in range(20):
                step = em(tree, here, np.array(priors))
                values.append(step.objective)
                here = step.parameters
            assert (np.diff(values, axis=0) >= -1e-9).all()


@pytest.mark.parametrize("forgets", [False, True])
def test_given_no_priors_then_long_plain_em_from_any_start_is_no_higher(*, forgets: bool) -> None:
    table = table_of(LOGS)[0]
    tree, counts = forest_of(table), np.array(BetaPriors())
    fitted = fit_bkt(table, forgets=forgets, priors=BetaPriors())
    for start in _starts(tree.concepts, forgets, places=6 if THOROUGH else 2, seed=5):
        here = start
        for _ in range(400 if THOROUGH else 100):
            here = em(tree, here, counts).parameters
        assert (fitted.log_likelihood >= em(tree, here, counts).log_likelihood - 1e-6).all()


def test_given_too_few_steps_then_nothing_is_said_to_be_at_rest() -> None:
    tree = forest_of(table_of(LOGS)[0])
    (start,) = _starts(tree.concepts, forgets=False, places=1, seed=0)
    problems = tree.concepts
    two, many = (
        optimise(
            tree,
            start,
            np.array(BetaPriors()),
            problems=problems,
            survivors=1,
            enough=1e-8,
            most=most,
        )
        for most in (2, 400)
    )
    assert two.rounds == 2
    assert not two.settled.any()
    assert many.settled.all()
    assert (many.objective > two.objective).all()


def test_given_answers_that_say_nothing_then_the_fit_warns() -> None:
    draw = np.random.default_rng(8)
    logs = [[answer(k, score=float(draw.random() < 0.5)) for k in range(8)] for _ in range(300)]
    fitted = fit("bkt", logs)
    model = fitted.parameters.of_concept("c")
    assert isinstance(model, BktParameters)
    if 1.0 - model.guess - model.slip < 0.1:
        assert any("say almost nothing" in warning for warning in fitted.warnings)
    assert model.guess + model.slip < 1.0


def test_given_no_such_model_or_no_answer_when_fitted_then_it_is_refused() -> None:
    with pytest.raises(ValueError, match="model must be one of bkt-irt, classical, bkt"):
        fit("dkt", LOGS)
    with pytest.raises(ValueError, match="nothing to fit"):
        fit("bkt", [[]])


def test_given_another_order_of_learners_then_the_fit_is_the_same() -> None:
    logs = LOGS if THOROUGH else LOGS[:40]
    fitted, other = fit("irt", logs), fit("irt", logs[::-1])
    scale, again = fitted.parameters.any_scale, other.parameters.any_scale
    assert scale is not None
    assert again is not None
    assert again.variance == pytest.approx(scale.variance, rel=0.02)
    assert replace(again, variance=1.0).predicts
