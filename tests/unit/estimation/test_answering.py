"""One answer under calibrated parameters: against quadrature, and never out of bounds."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.examples import examples
from tests.support.factories import answer, calibrated_parameters, item_parameters, scores
from workers.estimation.ability import Floats, estimates
from workers.estimation.answering import apply
from workers.estimation.items import ItemParameters
from workers.estimation.last_step import PredictionWeights
from workers.estimation.learner import Learner
from workers.estimation.parameters import BktParameters, ConceptParameters, Parameters
from workers.estimation.quadrature import step_probabilities
from workers.estimation.scales import ConceptOffset, ScaleParameters, evidence

FINE = np.linspace(-30.0, 30.0, 60_001)
DAY_S = 86_400


def chance(item: ItemParameters, score: float, theta: Floats) -> Floats:
    if item.thresholds:
        steps: Floats = step_probabilities(item, theta)[round(score * len(item.thresholds))]
        return steps
    p = item.lower + (item.upper - item.lower) / (
        1.0 + np.exp(-item.discrimination * (theta - item.difficulty))
    )
    weighted: Floats = np.power(p, score) * np.power(1.0 - p, 1.0 - score)
    return weighted


def moments(item: ItemParameters, mean: float, variance: float, score: float) -> Any:
    weight = np.exp(-((FINE - mean) ** 2) / (2.0 * variance)) * chance(item, score, FINE)
    weight /= weight.sum()
    middle = weight @ FINE
    return middle, weight @ (FINE - middle) ** 2


@pytest.mark.parametrize(
    "item",
    [
        ItemParameters(0.5),
        ItemParameters(-0.5, 1.3),
        ItemParameters(0.5, 1.2, 0.2),
        ItemParameters(0.0, 1.5, 0.15, 0.95),
        ItemParameters(0.0, 1.3, thresholds=(-1.0, 0.2, 0.9)),
        ItemParameters(0.0, 0.9, thresholds=(0.4, -0.3), steps="partial_credit"),
    ],
)
@pytest.mark.parametrize("mean", [-1.0, 0.0, 1.0])
@pytest.mark.parametrize("variance", [0.1, 0.4, 1.0])
@pytest.mark.parametrize("score", [0.0, 1.0])
def test_given_any_item_when_answered_then_the_posterior_equals_quadrature(
    item: ItemParameters, mean: float, variance: float, score: float
) -> None:
    seen = evidence(item, mean, variance, score)
    middle, spread = moments(item, mean, variance, score)
    deviation = math.sqrt(variance)
    # Steps are exact; the others are as good as the mixture for the logistic function.
    near, like = (1e-6, 1e-5) if item.thresholds else (0.002, 0.004)
    assert mean + variance * seen.gradient == pytest.approx(middle, abs=near * deviation)
    assert variance * (1 - variance * seen.curvature) == pytest.approx(spread, rel=like)


@given(item_parameters(), st.floats(-50.0, 50.0), st.floats(1e-6, 100.0), scores())
def test_given_any_answer_then_variance_is_above_0_and_the_mean_finite(
    item: ItemParameters, mean: float, variance: float, score: float
) -> None:
    seen = evidence(item, mean, variance, score)
    assert all(map(math.isfinite, seen))
    assert 0.0 <= seen.probability <= 1.0 + 1e-12
    assert seen.curvature * variance < 1.0


@pytest.mark.parametrize("steps", ["graded", "partial_credit"])
def test_given_steps_then_chances_sum_to_1_and_credit_rises_with_ability(
    steps: Any,
) -> None:
    item = ItemParameters(0.0, 1.4, thresholds=(-1.0, 0.0, 2.0), steps=steps)
    chances = step_probabilities(item, np.linspace(-30, 30, 201))
    assert chances.sum(axis=0) == pytest.approx(np.ones(201), abs=1e-12)
    assert (chances >= 0).all()
    assert (np.diff(np.arange(4) @ chances) >= -1e-12).all()
    rasch = step_probabilities(ItemParameters(thresholds=(0.7,), steps=steps), np.array([0.2]))
    assert rasch[1] == pytest.approx(1 / (1 + math.exp(0.5)))


@settings(max_examples=examples(40))
@given(calibrated_parameters(), st.sampled_from([0.0, 1.0, 0.5]), st.integers(1, 60))
def test_given_a_record_of_one_kind_then_numbers_stay_finite_and_in_range(
    parameters: Parameters, score: float, length: int
) -> None:
    learner = Learner()
    for k in range(length):
        expected = apply(
            learner, answer(k, score=score, concepts=["a", "d"], scale="math"), parameters
        )
        assert 0.0 <= expected.probability_correct <= 1.0
    for state in learner.concepts.values():
        assert 0.0 <= state.mastery <= 1.0
        assert 0.5 <= state.mantissa < 1.0
        assert math.isfinite(state.concept_offset)
        assert state.offset_variance >= 0.0
    (estimate,) = estimates([learner.abilities["math"]])
    assert math.isfinite(estimate.theta)
    assert 0.0 < estimate.standard_error < 100.0


def test_given_all_wrong_or_all_right_on_a_bank_then_ability_has_that_sign() -> None:
    items = {f"q{k}": ItemParameters(k / 10 - 2, 1.5) for k in range(40)}
    parameters = Parameters(items=items, any_scale=ScaleParameters())
    by_score = {}
    for score in (0.0, 1.0):
        learner = Learner()
        for k in range(40):
            apply(learner, answer(k, score=score, item=f"q{k}"), parameters)
        by_score[score] = learner.abilities["default"].mean
    assert -6.0 < by_score[0.0] < -2.0
    assert 2.0 < by_score[1.0] < 6.0


def test_given_concepts_with_offsets_then_each_takes_its_share() -> None:
    parameters = Parameters(
        any_scale=ScaleParameters(
            variance=1.0, walk=0.01, concept_offset=ConceptOffset(0.4, 0.02, 0.03)
        )
    )
    learner = Learner()
    apply(learner, answer(0, score=1.0, concepts=["a", "b"]), parameters)
    seen = evidence(ItemParameters(), 0.0, 1.0 + 0.8 / 4, 1.0)
    ability = learner.abilities["default"]
    assert ability.mean == pytest.approx(seen.gradient)
    assert ability.variance == pytest.approx(1.0 - seen.curvature + 0.01)
    assert learner.concepts["a"][4:] == learner.concepts["b"][4:]
    kept = 1.0 - 0.02 / 0.4
    deviation = math.sqrt(kept) * 0.2 * seen.gradient + 0.03
    assert learner.concepts["a"].concept_offset == pytest.approx(deviation)
    assert learner.concepts["a"].offset_variance == pytest.approx(
        kept * (0.4 - 0.04 * seen.curvature) + 0.02
    )


def test_given_items_and_concepts_never_seen_then_their_means_stand_in() -> None:
    easy, hard, mean = ItemParameters(-1.0), ItemParameters(2.0), ItemParameters(0.3)
    parameters = Parameters(
        concepts={"known": ConceptParameters(item=hard)},
        items={"q": easy},
        any_scale=ScaleParameters(item=mean, predicts=True),
    )
    expected = {
        name: apply(Learner(), answer(0, item=item, concepts=[concept]), parameters)
        for name, item, concept in (
            ("item", "q", "other"),
            ("concept", "new", "known"),
            ("scale", "new", "other"),
        )
    }
    assert expected["item"].probability_correct == evidence(easy, 0.0, 1.0, 1.0).probability
    assert expected["concept"].probability_correct == evidence(hard, 0.0, 1.0, 1.0).probability
    assert expected["scale"].probability_correct == evidence(mean, 0.0, 1.0, 1.0).probability


def test_given_guess_and_slip_of_an_item_then_they_outrank_the_concept() -> None:
    own = replace(BktParameters(0.25, 0.1, 0.2, 0.1), guess=0.4, slip=0.05)
    parameters = Parameters(items={"q": ItemParameters(guess=0.4, slip=0.05)})
    for score in (0.0, 0.5, 1.0):
        learner, expected = Learner(), Learner()
        seen = apply(learner, answer(0, score=score, item="q"), parameters)
        told = apply(expected, answer(0, score=score, item="q"), Parameters(default=own))
        assert seen == told
        assert learner.concepts == expected.concepts


def test_given_days_without_answers_then_decay_lowers_what_is_expected() -> None:
    parameters = Parameters(default=BktParameters(0.5, 0.1, 0.2, 0.1, decay_per_day=0.1))
    learner = Learner()
    apply(learner, answer(0), parameters)
    before = learner.concepts["c"].mastery
    expected = apply(learner, answer(1, at=7 * DAY_S), parameters)
    left = before * math.exp(-0.7)
    assert expected.probability_correct == pytest.approx(left * 0.9 + (1 - left) * 0.2)
    for k in range(2, 5):
        apply(learner, answer(k, at=10**7 * k), parameters)
        assert 0.0 < learner.concepts["c"].mastery < 1.0


@pytest.mark.parametrize(
    ("make", "changes", "said"),
    [
        (BktParameters, {"decay_per_day": -1.0}, "decay_per_day must lie"),
        (BktParameters, {"decay_per_day": 1e-200}, "decay_per_day must be 1e-100 or more"),
        (ItemParameters, {"discrimination": 0.0}, "discrimination must lie"),
        (ItemParameters, {"difficulty": math.inf}, "difficulty must lie"),
        (ItemParameters, {"lower": 0.5, "upper": 0.4}, "lower < upper"),
        (ItemParameters, {"thresholds": (1.0, 0.0)}, "must rise"),
        (ItemParameters, {"thresholds": (math.nan,)}, "thresholds must lie"),
        (ItemParameters, {"guess": 0.2}, "both or not at all"),
        (ItemParameters, {"guess": 0.6, "slip": 0.4}, r"guess \+ slip"),
        (ItemParameters, {"guess": 0.0, "slip": 0.4}, "guess must lie"),
        (ScaleParameters, {"variance": 0.0}, "variance must lie"),
        (ScaleParameters, {"walk": -1.0}, "walk must lie"),
        (ScaleParameters, {"mean": math.nan}, "mean must lie"),
        (ConceptOffset, {"variance": -1.0}, "variance of a concept offset must lie"),
        (ConceptOffset, {"walk": -1.0}, "walk of a concept offset must lie"),
        (ConceptOffset, {"drift": 11.0}, "drift must lie"),
        (ConceptOffset, {"ratio": 1.0}, "ratio must lie"),
        (ConceptOffset, {"ratio": -0.1}, "ratio must lie"),
        (PredictionWeights, {"again": math.nan}, "again must lie"),
        (PredictionWeights, {"practice_concept": 1001.0}, "practice_concept must lie"),
        (ScaleParameters, {"predicts": True, "prediction": PredictionWeights()}, "only one"),
    ],
)
def test_given_parameters_out_of_range_then_they_are_refused_by_name(
    make: Any, changes: dict[str, Any], said: str
) -> None:
    valid: dict[Any, dict[str, Any]] = {
        BktParameters: {"prior": 0.25, "learn": 0.1, "guess": 0.2, "slip": 0.1},
    }
    with pytest.raises(ValueError, match=said):
        make(**{**valid.get(make, {}), **changes})


def test_given_simulated_learners_then_95_percent_intervals_hold_the_truth() -> None:
    draw = np.random.default_rng(1)
    items = {
        f"q{k}": ItemParameters(draw.normal(), float(draw.uniform(0.6, 1.5))) for k in range(30)
    }
    parameters = Parameters(items=items, any_scale=ScaleParameters())
    held = 0
    for _ in range(300):
        theta, learner = draw.normal(), Learner()
        for k, (name, item) in enumerate(items.items()):
            p = 1.0 / (1.0 + math.exp(-item.discrimination * (theta - item.difficulty)))
            apply(learner, answer(k, score=float(draw.random() < p), item=name), parameters)
        low, high = estimates([learner.abilities["default"]])[0].interval
        held += low <= theta <= high
    assert 0.90 <= held / 300 <= 0.98
