"""What draws concepts together, and how uncertain that makes a concept's numbers."""

import numpy as np
import pytest
from scipy.special import expit

from tests.unit.calibration.simulated import simulated
from workers.calibration.informed_chains import Informed, informed_answers, log_likelihoods
from workers.calibration.informed_curvature import (
    Posterior,
    informed_covariance,
    informed_of,
    newton,
)
from workers.calibration.informed_draw import USUAL, Draw, Looser, looser
from workers.calibration.informed_fit import fit_informed
from workers.calibration.informed_spread import whole_covariance, with_spreads, with_tails
from workers.calibration.table import Floats, table_of

LOGS = simulated(120, 3)
TABLE = table_of(LOGS)[0]
Z = np.random.default_rng(4).normal(0.0, 0.7, TABLE.score.size)
THETA = np.random.default_rng(5).normal(0.0, 1.0, TABLE.score.size)
DATA = informed_answers(TABLE, Z, THETA)
FLAT = Draw(np.zeros(4), 0.0)


def as_usual(concepts: int, learn: float = 0.2, forget: float = 0.1) -> Informed:
    """Concepts of which each is at the mean of all."""
    unknown, gap, weight, prior, learns, forgets = (
        np.full(concepts, one) for one in (*USUAL, learn, forget)
    )
    return Informed(unknown, gap, weight, prior, 0.3, learns, forgets)


def diagonal(fitted: Informed, variance: float) -> Floats:
    return np.tile(variance * np.eye(7), (fitted.learn.size, 1, 1))


def test_given_few_concepts_that_happen_to_lie_near_then_they_are_not_held_to_be_all_alike() -> (
    None
):
    own = np.tile(np.array(USUAL)[:, None], (1, 3))
    few = Draw().looked_at(own, np.full_like(own, 0.01))
    many = Draw().looked_at(np.repeat(own, 100, axis=1), np.full((4, 300), 0.01))
    assert (few.precision <= 4.01 * Draw().precision).all()
    assert (many.precision > 50.0).all()


def test_given_concepts_apart_then_the_precision_is_that_of_them_and_their_variances() -> None:
    far = np.array([-1.0, 1.0] * 5000) * 0.3
    own = np.array(USUAL)[:, None] + far
    found = Draw().looked_at(own, np.full_like(own, 0.01))
    assert found.precision == pytest.approx([10.0, 10.0, 20.0, 10.0], rel=0.01)


def test_given_a_rate_near_zero_then_its_error_reaches_to_where_it_is_improbable() -> None:
    found = fit_informed(TABLE, Z, THETA)
    plain = informed_covariance(DATA, found.informed, Draw())
    posterior = Posterior(DATA, found.informed, Draw())
    wide = with_tails(plain, posterior, posterior.held(hill=True))
    variances = np.diagonal(wide / plain, axis1=1, axis2=2)
    assert variances[:, :5] == pytest.approx(np.ones((2, 5)))
    assert (variances[:, 5:] >= 1.0).all()
    assert (variances[:, 5:] > 1.02).any()


def test_given_a_concept_far_off_then_it_is_as_uncertain_as_how_hard_it_is_drawn_makes_it() -> None:
    fitted = as_usual(4)
    fitted.prior[0] += 2.0
    draw, variance, of_log = Draw(), 0.1, 0.3
    found = with_spreads(
        diagonal(fitted, variance), fitted, Looser(draw, np.array([0.0, 0.0, 0.0, of_log]))
    )
    # The mode of x known with error 1/s, drawn to c by precision τ, is (s x + τ c) / (s + τ).
    precision = float(draw.precision[3])
    said, centre = 1.0 / variance - precision, draw.centre(3, fitted.prior)
    answer = (fitted.prior[0] * (said + precision) - precision * centre) / said

    def mode(by: float) -> float:
        at = precision * np.exp(by)
        return float((said * answer + at * centre) / (said + at))

    moved = (mode(1e-4) - mode(-1e-4)) / 2e-4
    assert found[0, 3, 3] - variance == pytest.approx(of_log * moved**2, rel=1e-3)


@pytest.mark.parametrize("concepts", [2, 8, 50])
def test_given_concepts_well_known_then_their_precision_is_as_its_posterior_has_it(
    concepts: int,
) -> None:
    likeliest = np.full(4, 300.0)
    found = looser(Draw(likeliest), np.zeros((4, concepts)))
    # Of concepts and the usual one, about their mean, with a flat prior of the log precision.
    by_log = np.linspace(-15.0, 5.0, 20_001)
    squares = (concepts + 1.0) / 300.0
    log_density = concepts / 2.0 * (np.log(300.0) + by_log) - squares / 2.0 * 300.0 * np.exp(by_log)
    weight = np.exp(log_density - log_density.max())
    weight /= weight.sum()
    mean = float(weight @ by_log)
    variance = float(weight @ (by_log - mean) ** 2)
    assert np.log(found.draw.precision / likeliest) == pytest.approx(np.full(4, mean), rel=1e-3)
    further = np.exp(-mean) - 1.0
    assert found.of_log == pytest.approx(np.full(4, variance + further**2), rel=1e-3)


def test_given_many_concepts_or_none_that_lie_near_then_the_prior_is_as_it_was() -> None:
    near = Draw(np.full(4, 100.0))
    many = looser(near, np.full((4, 5000), 1e-4))
    assert many.draw.precision == pytest.approx(near.precision, rel=1e-3)
    assert (many.of_log < 1e-3).all()
    apart = looser(Draw(), np.full((4, 3), 0.01))
    assert apart.draw.precision.tolist() == Draw().precision.tolist()
    # What answers say nothing of tells nothing of how far concepts lie apart.
    unsaid = looser(near, np.full((4, 5000), 25.0))
    assert (unsaid.draw.precision < 0.3 * near.precision).all()
    assert (unsaid.of_log > 4.0).all()


def test_given_few_concepts_that_lie_near_then_each_is_less_well_known_than_if_all_did() -> None:
    fitted, near = fit_informed(TABLE, Z, THETA).informed, Draw(4.0 * Draw().precision)
    whole = np.diagonal(whole_covariance(DATA, fitted, near), axis1=1, axis2=2)
    taken_as_known = np.diagonal(informed_covariance(DATA, fitted, near), axis1=1, axis2=2)
    at_loosest = np.diagonal(informed_covariance(DATA, fitted, Draw()), axis1=1, axis2=2)
    assert (whole[:, :4] > 1.1 * taken_as_known[:, :4]).all()
    assert (whole[:, :4] > 0.9 * at_loosest[:, :4]).all()


def test_given_any_numbers_then_covariances_are_positive_semidefinite() -> None:
    for seed in range(20):
        drawn = np.random.default_rng(seed)
        here = Informed(
            drawn.normal(-0.7, 1.0, 2),
            drawn.uniform(0.1, 3.0, 2),
            drawn.uniform(0.0, 2.0, 2),
            drawn.normal(0.0, 2.0, 2),
            0.3,
            drawn.uniform(0.001, 0.9, 2),
            drawn.uniform(0.001, 0.9, 2),
        )
        found = whole_covariance(DATA, here, Draw())
        assert np.isfinite(found).all()
        assert (np.linalg.eigvalsh(found) > -1e-9).all()


@pytest.mark.parametrize("most", [0.7, 3.0, 10.0])
def test_given_a_step_that_overshoots_then_a_shorter_one_gets_every_concept_higher(
    most: float,
) -> None:
    both = np.ones(2)
    for here in (
        Informed(-0.8 * both, 2.0 * both, 0.3 * both, 0.2 * both, 0.3, 0.15 * both, 0.03 * both),
        Informed(-3.0 * both, 5.0 * both, 0.3 * both, 3.0 * both, 0.3, 0.5 * both, 0.5 * both),
        Informed(1.0 * both, 0.5 * both, 2.0 * both, -3.0 * both, 0.3, 0.01 * both, 0.9 * both),
    ):
        there = informed_of(newton(DATA, here, FLAT, most)[0])
        assert (log_likelihoods(DATA, there) > log_likelihoods(DATA, here) + 1.0).all()


def test_given_a_fit_then_it_is_at_rest() -> None:
    fitted = fit_informed(TABLE, Z, THETA).informed
    again = newton(DATA, fitted, Draw(), 0.01)[0]
    assert expit(again[5]) == pytest.approx(fitted.learn, abs=0.01)
    assert log_likelihoods(DATA, informed_of(again)) == pytest.approx(
        log_likelihoods(DATA, fitted), abs=0.5
    )
