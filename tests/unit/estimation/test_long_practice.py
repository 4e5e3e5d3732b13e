"""Practice saturates: ability stays sane and every figure in its range at any length."""

import math
from functools import cache

import pytest

from tests.support.examples import THOROUGH
from tests.support.factories import answer
from workers.estimation.ability import estimates
from workers.estimation.answering import apply, concept_prediction
from workers.estimation.items import ItemParameters
from workers.estimation.last_step import PredictionWeights
from workers.estimation.learner import Learner
from workers.estimation.parameters import BktParameters, Parameters
from workers.estimation.person_fit import person_fit
from workers.estimation.scales import ConceptOffset, ScaleParameters
from workers.estimation.uncertainty import mastery_interval

LENGTHS = (0, 10, 20, 100, 1_000, 10_000, *((100_000,) if THOROUGH else ()))
FIVE = tuple(tuple(0.1 if row == column < 4 else 0.0 for column in range(5)) for row in range(5))
OFFSET = ConceptOffset(0.25, 0.02, 0.09, 0.95)
PARAMETERS = Parameters(
    default=BktParameters(0.4, 0.1, 0.25, 0.12, covariance=FIVE),
    items={f"item-{k}": ItemParameters(-1.2 + 0.4 * k, 1.0 + 0.1 * k) for k in range(7)},
    any_scale=ScaleParameters(
        variance=0.5,
        walk=0.002,
        concept_offset=OFFSET,
        prediction=PredictionWeights(0, 0.7, 0.3, 0.3, 0.3, 0.15, 0.1, 0.05, 0.05, 0.01, 0.02),
    ),
)
"""Parameters as a fit finds them."""

# Every process would practise again. Coverage would take most of the time.
pytestmark = [pytest.mark.xdist_group("long practice"), pytest.mark.untraced]


@cache
def practised(wrong: str) -> dict[int, Learner]:
    """A learner's state after so many answers on one concept.

    Args:
        wrong: which answers are: "none", "all", or each "tenth".
    """
    learner, states = Learner(), {}
    for k in range(LENGTHS[-1] + 1):
        if k in LENGTHS:
            states[k] = Learner(
                last=learner.last,
                concepts=dict(learner.concepts),
                abilities=dict(learner.abilities),
            )
        right = {"none": True, "all": False, "tenth": k % 10 != 7}[wrong]
        apply(learner, answer(k, score=float(right)), PARAMETERS)
    return states


def predicted(learner: Learner, concept: str) -> float:
    asked = answer(LENGTHS[-1] + 1, concepts=[concept], item="new")
    return concept_prediction(learner, concept, asked, PARAMETERS)


def theta(learner: Learner) -> float:
    return learner.abilities["default"].mean


def test_given_1000_answers_then_ability_is_not_below_that_after_20() -> None:
    states = practised("tenth")
    assert theta(states[1_000]) >= theta(states[20]) - 0.5
    assert theta(states[100]) >= theta(states[20]) - 0.5
    assert abs(theta(states[1_000])) < 3.0
    assert abs(states[1_000].concepts["c"].concept_offset) < 3.0


def test_given_1000_answers_then_an_unseen_concept_is_predicted_alike() -> None:
    states = practised("tenth")
    for length in (100, 1_000):
        assert predicted(states[length], "unseen") >= predicted(states[20], "unseen") - 0.1
        assert predicted(states[length], "unseen") >= predicted(states[0], "unseen") - 0.1
    # The concept itself is predicted as it is answered.
    assert predicted(states[1_000], "c") == pytest.approx(0.9, abs=0.09)


@pytest.mark.parametrize("length", LENGTHS[3:])
def test_given_longer_practice_then_ability_and_predictions_stay(length: int) -> None:
    states = practised("tenth")
    assert theta(states[length]) >= theta(states[20]) - 0.5
    assert predicted(states[length], "unseen") >= predicted(states[20], "unseen") - 0.1


@pytest.mark.parametrize("wrong", ["none", "tenth", "all"])
@pytest.mark.parametrize("length", LENGTHS)
def test_given_any_length_then_no_figure_leaves_its_range(wrong: str, length: int) -> None:
    learner = practised(wrong)[length]
    for concept in ("c", "unseen"):
        assert 0.0 < predicted(learner, concept) < 1.0
    if not length:
        return
    state, ability = learner.concepts["c"], learner.abilities["default"]
    assert state.attempts == ability.responses == length
    assert 0.0 <= state.mastery <= 1.0
    assert 0.5 <= state.mantissa < 1.0
    interval = mastery_interval(state, PARAMETERS.default)
    assert interval is not None
    assert 0.0 <= interval[0] <= state.mastery <= interval[1] <= 1.0
    # The sums of a geometric series of halves.
    assert abs(state.recent) <= 1.0
    assert abs(state.lasting) <= 0.5 / 0.15
    # All alike, an ability far out is what answers say; else they hold it.
    assert abs(ability.mean) < (3.0 if wrong == "tenth" else 30.0)
    assert abs(state.concept_offset) < (3.0 if wrong == "tenth" else 20.0)
    assert 0.0 < ability.variance <= 0.5 + 0.002 * length
    assert 0.0 < state.offset_variance <= 0.25
    (estimate,) = estimates([ability])
    assert all(map(math.isfinite, (*estimate, *estimate.interval)))
    fit = person_fit(ability)
    assert fit is None or math.isfinite(fit)


@pytest.mark.parametrize("wrong", ["none", "all"])
def test_given_answers_all_alike_then_ability_is_on_their_side(wrong: str) -> None:
    sign = 1.0 if wrong == "none" else -1.0
    thetas = [sign * theta(state) for length, state in practised(wrong).items() if length]
    assert thetas == sorted(thetas)
    assert thetas[0] > 0.0


@pytest.mark.parametrize("ratio", [0.0, 0.5, 0.95, 0.999])
def test_given_any_number_of_answers_then_practice_adds_a_bounded_sum(ratio: float) -> None:
    offset = ConceptOffset(0.25, 0.02, 0.09, ratio)
    gains = [offset.practice(attempts) for attempts in range(5_000)]
    assert gains[0] == 0.09
    assert gains[1] == pytest.approx(0.09 * ratio)
    assert gains == sorted(gains, reverse=True)
    assert sum(gains) <= 0.09 / (1.0 - ratio) * (1.0 + 1e-12)
    assert offset.practice(100_000) == pytest.approx(0.0, abs=1e-40)
