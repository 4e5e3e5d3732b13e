"""Uncertainty of a fit: equal to differences of the likelihood, and valid."""

import math
from typing import Any

import numpy as np
import pytest
from scipy.special import expit, logit

from tests.support.factories import answer
from tests.support.simulated_learners import simulated
from workers.estimation.answering import apply
from workers.estimation.learner import Learner
from workers.estimation.uncertainty import mastery_interval
from workers.modelling.calibration.bkt.curvature import bkt_covariance, newton_polish
from workers.modelling.calibration.bkt.em import em
from workers.modelling.calibration.bkt.fit import WEAK_PRIORS, BetaPriors, _starts, fit_bkt
from workers.modelling.calibration.bkt.forest import forest_of
from workers.modelling.calibration.fitting import fit
from workers.modelling.calibration.information import around_mean, inverse
from workers.modelling.calibration.log_tables import table_of
from workers.modelling.calibration.table import Floats

LOGS = simulated(120, 3)
TABLE = table_of(LOGS)[0]


def hessian(value: Any, at: Floats, step: float = 1e-3) -> Floats:
    """Compute the Hessian of a function of n numbers by differences."""
    n = at.size
    hessian = np.empty((n, n))
    for i in range(n):
        for j in range(n):
            total = 0.0
            for sign in (1, -1):
                for other in (1, -1):
                    moved = at.copy()
                    moved[i] += sign * step
                    moved[j] += other * step
                    total += sign * other * value(moved)
            hessian[i, j] = total / (4.0 * step * step)
    return hessian


def test_given_a_fit_then_its_covariance_is_the_inverse_curvature() -> None:
    tree, counts = forest_of(TABLE), np.array(WEAK_PRIORS)
    fitted = fit_bkt(TABLE, forgets=True)
    covariance = bkt_covariance(tree, fitted.parameters, counts)
    for concept in range(2):

        def value(x: Floats, concept: int = concept) -> float:
            moved = fitted.parameters.copy()
            moved[:, concept] = expit(x)
            return float(em(tree, moved, counts).objective[concept])

        curvature = hessian(value, logit(fitted.parameters[:, concept]))
        assert np.linalg.inv(-curvature) == pytest.approx(covariance[concept], rel=2e-2, abs=1e-3)


def test_given_no_forgetting_then_only_forget_has_no_variance() -> None:
    fitted = fit_bkt(TABLE, forgets=False)
    covariance = bkt_covariance(forest_of(TABLE), fitted.parameters, np.array(WEAK_PRIORS))
    assert (covariance[:, 4] == 0.0).all()
    assert (covariance[:, :, 4] == 0.0).all()
    assert (np.linalg.eigvalsh(covariance[:, :4, :4]) > 0.0).all()


@pytest.mark.parametrize("priors", [BetaPriors(), WEAK_PRIORS])
def test_given_any_start_when_polished_then_it_ends_no_lower_and_inside(priors: Any) -> None:
    tree, counts = forest_of(TABLE), np.array(priors)
    for start in _starts(tree.concepts, forgets=True, places=8, seed=2):
        end = newton_polish(tree, start, counts)
        assert (em(tree, end, counts).objective >= em(tree, start, counts).objective).all()
        assert ((end > 0.0) & (end < 1.0)).all()
        assert (end[2] + end[3] < 1.0).all()


def test_given_few_answers_with_an_odd_optimum_then_the_search_finds_it() -> None:
    # One always wrong, the others mostly wrong now and then: nobody guesses, those who know slip.
    logs = [[answer(k, score=0.0) for k in range(9)]]
    draw = np.random.default_rng(1)
    logs += [[answer(k, score=float(draw.random() < 0.3)) for k in range(3)] for _ in range(14)]
    table = table_of(logs)[0]
    tree, counts = forest_of(table), np.array(BetaPriors())
    fitted = fit_bkt(table, forgets=False, priors=BetaPriors())
    many = tree.repeated(40)
    here = np.hstack(_starts(1, forgets=False, places=40, seed=77))
    for _ in range(150):
        here = em(many, here, counts).parameters
    assert fitted.log_likelihood[0] >= em(many, here, counts).log_likelihood.max() - 1e-6


def test_given_flat_or_misshapen_information_then_variances_stay_finite() -> None:
    observed = np.array([np.zeros((3, 3)), np.diag([5.0, -3.0, 1e-9]), np.full((3, 3), np.nan)])
    fixed = np.zeros((3, 3), dtype=np.bool_)
    fixed[2] = True
    inverted = inverse(observed, fixed)
    assert np.isfinite(inverted).all()
    assert inverted[0, 0, 0] == pytest.approx(25.0)
    assert inverted[1].diagonal() == pytest.approx([0.2, 25.0, 0.0])
    assert (np.linalg.eigvalsh(inverted) >= -1e-12).all()


def test_given_concepts_apart_then_an_unseen_one_is_as_uncertain_as_that() -> None:
    values = np.array([[0.0, 2.0], [1.0, 1.0]])
    own = np.array([np.diag([0.1, 0.2]), np.diag([0.3, 0.2])])
    assert around_mean(values, own) == pytest.approx(np.diag([2.2, 0.2]))
    assert around_mean(values[:, :1], own[:1]) == pytest.approx(own[0])


@pytest.mark.usefixtures("few_parts")
@pytest.mark.parametrize("model", ["bkt", "bkt-forgets", "bkt-irt"])
def test_given_a_fit_then_sparse_or_unseen_concepts_have_wider_intervals(model: str) -> None:
    rare = [answer(90 + k, score=float(k % 2), concepts=["rare"]) for k in range(2)]
    parameters = fit(model, [*LOGS, rare]).parameters
    widths = {}
    for name in ("c0", "rare", "never seen"):
        learner = Learner()
        for k in range(3):
            apply(learner, answer(k, score=1.0, concepts=[name]), parameters)
        interval = mastery_interval(learner.concepts[name], parameters.of_concept(name))
        assert interval is not None
        widths[name] = logit(interval[1]) - logit(interval[0])
    assert widths["rare"] > widths["c0"]
    assert widths["never seen"] > 0.0
    assert all(map(math.isfinite, widths.values()))
