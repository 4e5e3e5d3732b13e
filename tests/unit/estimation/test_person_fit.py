"""Person fit: near a standard normal for those who answer as predicted, far off for others."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.calibrated import IRT, LAST_STEP
from tests.support.examples import THOROUGH
from tests.support.factories import answer, calibrated_parameters, learner_log, logs, scores
from workers.estimation.ability import AbilityState
from workers.estimation.answering import apply
from workers.estimation.items import ItemParameters
from workers.estimation.learner import Learner, Response
from workers.estimation.parameters import Parameters
from workers.estimation.person_fit import FEWEST, UNUSUAL, person_fit, surprise_of
from workers.estimation.replay import replay
from workers.estimation.scales import ScaleParameters

# Coverage would take most of their time, and many other tests run the same lines.
pytestmark = pytest.mark.untraced


@given(scores(), st.floats(0.001, 0.999))
def test_given_an_answer_then_surprise_is_log_likelihood_minus_expectation(
    score: float, p: float
) -> None:
    answer = surprise_of(score, p)

    right, wrong = math.log(p), math.log(1.0 - p)
    expectation = p * right + (1.0 - p) * wrong
    likelihood = score * right + (1.0 - score) * wrong
    assert answer.surprise == pytest.approx(likelihood - expectation, abs=1e-9)
    square = p * (right - expectation) ** 2 + (1.0 - p) * (wrong - expectation) ** 2
    assert answer.variance == pytest.approx(square, abs=1e-9)


@given(scores(), st.sampled_from([0.0, 5e-324, 1e-17, 0.5, 1.0 - 2**-53, 1.0]))
def test_given_an_answer_that_was_certain_then_its_surprise_is_finite(
    score: float, p: float
) -> None:
    answer = surprise_of(score, p)
    assert math.isfinite(answer.surprise)
    assert 0.0 <= answer.variance < 1.0
    assert math.isfinite(answer.variance)


@given(logs(), calibrated_parameters())
def test_given_any_log_then_surprises_add_up_on_calibrated_scales_only(
    log: list[Response], parameters: Parameters
) -> None:
    learner = Learner()
    wanted: dict[str, list[float]] = {}
    for response in sorted(log, key=lambda answer: answer.position):
        expected = apply(learner, response, parameters).probability_correct
        if parameters.of_scale(response.scale) is not None:
            wanted.setdefault(response.scale, []).append(
                surprise_of(response.score, expected).surprise
            )
    for scale, state in learner.abilities.items():
        total = sum(wanted.get(scale, []))
        assert state.surprise == pytest.approx(total, abs=1e-9)
        fit = person_fit(state)
        assert fit is None or math.isfinite(fit)
        if parameters.of_scale(scale) is None:
            assert (state.surprise, state.surprise_variance, fit) == (0.0, 0.0, None)


def test_given_few_answers_or_an_uncalibrated_scale_then_there_is_no_fit() -> None:
    assert person_fit(AbilityState(FEWEST - 1, 5.0, 0.1, 0.5, -9.0, 4.0)) is None
    assert person_fit(AbilityState(FEWEST, 5.0, 0.1, 0.5, -9.0, 4.0)) == -4.5
    assert person_fit(AbilityState(100, 50.0)) is None
    abilities = replay(learner_log(60, seed=1), IRT).abilities
    assert person_fit(abilities["math"]) is not None
    assert person_fit(abilities["verbal"]) is None
    assert all(
        person_fit(ability) for ability in replay(learner_log(60), LAST_STEP).abilities.values()
    )


BANK = Parameters(
    items={f"item-{n}": ItemParameters(-3.0 + n, 1.5) for n in range(7)},
    any_scale=ScaleParameters(predicts=True),
)


def fits(odd: bool, learners: int = 400 if THOROUGH else 150, answers: int = 60) -> list[float]:
    """Compute person fit of simulated learners; odd ones guess at every item."""
    draw = np.random.default_rng(8)
    fits_of_learners = []
    for _ in range(learners):
        theta = draw.normal()
        log = []
        for number in range(answers):
            p = 1.0 / (1.0 + math.exp(-1.5 * (theta - (-3.0 + number % 7))))
            log.append(answer(number, score=float(draw.random() < (0.5 if odd else p))))
        fit = person_fit(replay(log, BANK).abilities["default"])
        assert fit is not None
        fits_of_learners.append(fit)
    return fits_of_learners


def test_given_learners_as_predicted_then_fit_is_near_a_standard_normal() -> None:
    values = np.array(fits(odd=False))
    assert abs(values.mean()) < 0.2
    assert 0.85 < values.std() < 1.15
    assert (values < UNUSUAL).mean() < 0.015


def test_given_learners_who_always_guess_then_nearly_all_are_unusual() -> None:
    assert (np.array(fits(odd=True)) < UNUSUAL).mean() > 0.95
