"""Parameters: what is no probability is refused by name."""

import math
from typing import Any

import pytest

from tests.support.factories import answer
from workers.estimation.answering import apply
from workers.estimation.bkt import probability
from workers.estimation.learner import Learner
from workers.estimation.parameters import CLASSICAL, BktParameters, Parameters
from workers.estimation.ranges import LEAST

VALID: dict[str, Any] = {"prior": 0.25, "learn": 0.1, "guess": 0.2, "slip": 0.1, "forget": 0.0}
OUTSIDE = (-0.1, 1.0, 1.1, math.nan, math.inf, -math.inf, 5e-324, LEAST / 2)


def test_given_the_classical_parameters_then_they_are_the_published_ones() -> None:
    assert BktParameters(**VALID) == CLASSICAL
    assert Parameters().mastery_threshold == 0.95
    assert Parameters().of_concept("any") == CLASSICAL


@pytest.mark.parametrize("name", list(VALID))
@pytest.mark.parametrize("value", OUTSIDE)
def test_given_no_probability_when_made_then_it_is_refused_by_name(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=rf"^{name} must"):
        BktParameters(**{**VALID, name: value})


@pytest.mark.parametrize("name", ["prior", "guess", "slip"])
def test_given_certainty_from_the_start_when_made_then_it_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=rf"^{name} must lie in \(0, 1\)"):
        BktParameters(**{**VALID, name: 0.0})


@pytest.mark.parametrize(("guess", "slip"), [(0.5, 0.5), (0.9, 0.2)])
def test_given_guess_and_slip_that_invert_evidence_then_they_are_refused(
    guess: float, slip: float
) -> None:
    with pytest.raises(ValueError, match=r"guess \+ slip must be below 1"):
        BktParameters(prior=0.25, learn=0.1, guess=guess, slip=slip)


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"version": 0}, "version"),
        ({"mastery_threshold": 0.0}, "mastery_threshold"),
        ({"mastery_threshold": 1.0}, "mastery_threshold"),
        ({"mastery_threshold": math.nan}, "mastery_threshold"),
    ],
)
def test_given_a_bad_version_or_threshold_then_it_is_refused_by_name(
    changes: dict[str, Any], name: str
) -> None:
    with pytest.raises(ValueError, match=rf"^{name} must"):
        Parameters(**changes)


@pytest.mark.parametrize("prior", [LEAST, 1 - 2**-53])
@pytest.mark.parametrize("learn", [0.0, LEAST, 1 - 2**-53])
@pytest.mark.parametrize("forget", [0.0, LEAST, 1 - 2**-53])
@pytest.mark.parametrize(("guess", "slip"), [(LEAST, LEAST), (LEAST, 1 - 2**-53), (0.9, LEAST)])
def test_given_extreme_parameters_then_mastery_stays_a_probability(
    prior: float, learn: float, forget: float, guess: float, slip: float
) -> None:
    parameters = Parameters(default=BktParameters(prior, learn, guess, slip, forget))
    for pattern in ([1.0] * 40, [0.0] * 40, [1.0, 0.0] * 20, [0.5, 1.0, 0.0] * 14):
        learner = Learner()
        for number, score in enumerate(pattern + pattern[::-1]):
            apply(learner, answer(number, score=score), parameters)
            state = learner.concepts["c"]
            assert 0.5 <= state.mantissa < 1.0
            assert 0.0 <= probability(state.mantissa, state.exponent) <= 1.0
