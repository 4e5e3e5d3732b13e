"""The last step: predicts from mastery and ability, and changes neither."""

import math
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.calibrated import LAST_STEP
from tests.support.examples import examples
from tests.support.factories import (
    answer,
    calibrated_parameters,
    learner_log,
    logs,
    prediction_weights,
    scores,
)
from workers.estimation.answering import apply, concept_prediction
from workers.estimation.bkt import probability
from workers.estimation.items import ItemParameters
from workers.estimation.last_step import (
    FEATURES,
    FeatureSources,
    PredictionWeights,
    features,
    sums_after,
)
from workers.estimation.learner import ConceptState, Learner, Response
from workers.estimation.parameters import BktParameters, ConceptParameters, Parameters
from workers.estimation.replay import replay
from workers.estimation.scales import ConceptOffset, ScaleParameters, evidence

# Coverage would take most of their time, and many other tests run the same lines.
pytestmark = pytest.mark.untraced

WEIGHTS = PredictionWeights(0.2, 0.6, 0.4, 0.5, 0.3, 0.2, 0.15, -0.1, 0.05, 0.02, -0.03)
BKT = BktParameters(0.35, 0.12, 0.2, 0.1, 0.005)
SCALE = ScaleParameters(
    0.2,
    0.6,
    0.01,
    ItemParameters(0.3, 1.2),
    ConceptOffset(0.3, 0.02, 0.05, 0.9),
    prediction=WEIGHTS,
)
STEPPED = Parameters(
    default=BKT,
    concepts={"b": ConceptParameters(prediction=replace(WEIGHTS, constant=-0.4, ability=1.1))},
    any_scale=SCALE,
)
CHANCES = st.tuples(st.floats(1e-12, 1.0), st.floats(1e-12, 1.0))
SUMS = st.tuples(st.floats(-1.0, 1.0), st.floats(-3.4, 3.4))


def sigmoid(x: float) -> float:
    return 1.0 / (1.0 + math.exp(-x))


def without_weights(parameters: Parameters) -> Parameters:
    """The same without any last step."""

    def plain(scale: ScaleParameters) -> ScaleParameters:
        return replace(scale, prediction=None)

    return replace(
        parameters,
        concepts={
            name: replace(concept, prediction=None) for name, concept in parameters.concepts.items()
        },
        scales={name: plain(scale) for name, scale in parameters.scales.items()},
        any_scale=None if parameters.any_scale is None else plain(parameters.any_scale),
    )


@given(
    prediction_weights(),
    st.tuples(st.floats(-60.0, 60.0), CHANCES, st.floats(0.0, 1.0), SUMS, st.integers(0, 100_000)),
    st.booleans(),
)
def test_given_what_is_seen_then_the_logit_is_features_times_weights(
    weights: PredictionWeights, seen: Any, again: bool
) -> None:
    z, chance, mastery, sums, attempts = seen
    sources = [np.array([value]) for value in (z, *chance, mastery, *sums, attempts, float(again))]
    row = features(
        FeatureSources(
            sources[0],
            (sources[1], sources[2]),
            sources[3],
            (sources[4], sources[5]),
            sources[6],
            sources[7],
        )
    )
    assert row.shape == (1, len(FEATURES))
    expected = float(np.clip(row @ np.array(weights.numbers), -30.0, 30.0)[0])
    assert weights.logit(*seen, again=again) == pytest.approx(expected, rel=1e-12, abs=1e-11)


def test_given_weights_then_each_name_multiplies_its_own_feature() -> None:
    seen: Any = (0.7, (0.6, 0.3), 0.4, (0.2, -0.9), 5)
    c, n = math.log(2.0), math.log(6.0)
    wanted = {
        "constant": 1.0,
        "ability": 0.7,
        "concept": c,
        "mastery": 0.4,
        "recent": 0.2,
        "lasting": -0.9,
        "again": 1.0,
        "again_recent": 0.2,
        "practice": n,
        "practice_ability": n * 0.7,
        "practice_concept": n * c,
    }
    assert tuple(wanted) == FEATURES
    for name, value in wanted.items():
        weights = PredictionWeights(**{name: 1.0})
        assert weights.logit(*seen, again=True) == pytest.approx(value)
        if name.startswith("again"):
            assert weights.logit(*seen, again=False) == 0.0


def by_hand(
    learner: Learner, response: Response, parameters: Parameters
) -> tuple[float, list[float]]:
    """The expected score of an answer and each concept's, from the formula of the module."""
    scale = parameters.of_scale(response.scale)
    assert scale is not None
    states, etas = [], []
    for name in response.concept_ids:
        prior = parameters.of_concept(name).prior
        fresh = ConceptState(*math.frexp(prior / (1.0 - prior)), 0, 0)
        states.append(learner.concepts.get(name, fresh))
    ability = learner.abilities.get(response.scale)
    mean, variance = (
        (scale.mean, scale.variance) if ability is None else (ability.mean, ability.variance)
    )
    share = 1.0 / len(states)
    for name, state in zip(response.concept_ids, states, strict=True):
        own = parameters.offset_of(name, scale).variance
        mean += share * state.concept_offset
        variance += share * share * (state.offset_variance or own)
    item = parameters.item_of(response.item_id, response.concept_ids, scale)
    z = evidence(item, mean, variance, response.score).z
    for name, state in zip(response.concept_ids, states, strict=True):
        model, weights = parameters.of_concept(name), parameters.prediction_of(name, scale)
        assert weights is not None
        known = probability(state.mantissa, state.exponent)
        right = known * (1.0 - model.slip) + (1.0 - known) * model.guess
        last = learner.last
        again = last is not None and state.answered_at_us == last.answered_at_us
        etas.append(
            weights.logit(
                z, (right, 1.0 - right), known, (state.recent, state.lasting), state.attempts,
                again=again,
            )
        )  # fmt: skip
    return sigmoid(sum(etas) / len(etas)), [sigmoid(eta) for eta in etas]


def test_given_concepts_and_credit_then_prediction_is_the_hand_computed() -> None:
    learner = Learner()
    asked = [("a",), ("b",), ("a", "b"), ("b", "a", "c"), ("c",), ("a",), ("a", "c")]
    for k in range(40):
        response = answer(k, score=(0.0, 1.0, 0.3, 1.0, 0.8)[k % 5], concepts=asked[k % 7])
        whole, each = by_hand(learner, response, STEPPED)
        for name, wanted in zip(response.concept_ids, each, strict=True):
            told = concept_prediction(learner, name, response, STEPPED)
            assert told == pytest.approx(wanted, abs=1e-12)
        applied = apply(learner, response, STEPPED)
        assert applied.concepts == pytest.approx(each, abs=1e-12)
        assert applied.probability_correct == pytest.approx(whole, abs=1e-12)


@settings(max_examples=examples(60))
@given(logs(), calibrated_parameters())
def test_given_any_weights_then_mastery_and_ability_are_bit_identical(
    log: list[Response], parameters: Parameters
) -> None:
    stepped, plain = replay(log, parameters), replay(log, without_weights(parameters))
    assert stepped.concepts.keys() == plain.concepts.keys()
    for name, state in stepped.concepts.items():
        assert state._replace(recent=0.0, lasting=0.0) == plain.concepts[name]
    for name, ability in stepped.abilities.items():
        # Surprise is of the prediction, which the last step makes.
        assert ability[:4] == plain.abilities[name][:4]
    assert stepped.sessions == plain.sessions


@given(st.lists(scores(), min_size=1, max_size=30))
def test_given_a_log_then_the_sums_are_those_of_decayed_scores(log: list[float]) -> None:
    learner = Learner()
    for k, score in enumerate(log):
        apply(learner, answer(k, score=score), STEPPED)
    state = learner.concepts["c"]
    newest_first = log[::-1]
    for value, factor in ((state.recent, 0.5), (state.lasting, 0.85)):
        wanted = sum((score - 0.5) * factor**k for k, score in enumerate(newest_first))
        assert value == pytest.approx(wanted, abs=1e-12)
    both = sums_after((np.array([0.2, -0.4]), np.array([1.0, 0.3])), np.array([1.0, 0.25]))
    assert [column.tolist() for column in both] == [
        pytest.approx([0.6, -0.45]),
        pytest.approx([1.35, 0.005]),
    ]


@pytest.mark.parametrize("scale", [None, ScaleParameters(), ScaleParameters(predicts=True)])
def test_given_no_last_step_then_sums_stay_0_and_weights_are_idle(
    scale: ScaleParameters | None,
) -> None:
    concepts = {"c": ConceptParameters(prediction=replace(WEIGHTS, constant=9.0))}
    idle, none = Parameters(concepts=concepts, any_scale=scale), Parameters(any_scale=scale)
    learner, plain = Learner(), Learner()
    for k in range(10):
        response = answer(k, score=float(k % 3 > 0))
        assert apply(learner, response, idle) == apply(plain, response, none)
        state = learner.concepts["c"]
        assert (state.recent, state.lasting) == (0.0, 0.0)


def test_given_nothing_known_when_predicted_then_the_means_stand_in() -> None:
    z = evidence(SCALE.item, 0.2, 0.6 + 0.3, 1.0).z
    right = 0.35 * 0.9 + 0.65 * 0.2
    new = apply(Learner(), answer(0, concepts=["new"], item="new"), STEPPED)
    eta = WEIGHTS.logit(z, (right, 1.0 - right), 0.35, (0.0, 0.0), 0, again=False)
    assert new.probability_correct == pytest.approx(sigmoid(eta), abs=1e-12)
    own = apply(Learner(), answer(0, concepts=["b"], item="new"), STEPPED)
    weights = STEPPED.concepts["b"].prediction
    assert weights is not None
    eta = weights.logit(z, (right, 1.0 - right), 0.35, (0.0, 0.0), 0, again=False)
    assert own.probability_correct == pytest.approx(sigmoid(eta), abs=1e-12)
    # A new concept of a learner known on another one: no practice, no sums, and not again.
    learner = replay([answer(k, concepts=["b"]) for k in range(5)], STEPPED)
    asked = answer(5, concepts=["new"], item="new")
    assert apply(learner, asked, STEPPED).probability_correct == pytest.approx(
        by_hand(replay([answer(k, concepts=["b"]) for k in range(5)], STEPPED), asked, STEPPED)[0],
        abs=1e-12,
    )


def test_given_one_scale_with_weights_then_the_other_predicts_without() -> None:
    parameters = replace(STEPPED, scales={"plain": ScaleParameters(variance=0.6)})
    learner = Learner()
    apply(learner, answer(0, scale="plain"), parameters)
    state = learner.concepts["c"]
    assert (state.attempts, state.recent, state.lasting) == (1, 0.0, 0.0)
    apply(learner, answer(1), parameters)
    assert learner.concepts["c"].recent == 0.5
    mastery = learner.concepts["c"].mastery
    told = apply(learner, answer(2, scale="plain"), parameters)
    assert told.probability_correct == pytest.approx(mastery * 0.9 + (1.0 - mastery) * 0.2)
    assert learner.concepts["c"].recent == 0.5


def test_given_the_newest_answer_on_the_concept_then_again_counts_else_not() -> None:
    only = PredictionWeights(again=1.0)
    parameters = Parameters(any_scale=ScaleParameters(prediction=only))
    learner = Learner()
    told = [
        apply(learner, answer(k, concepts=names), parameters).probability_correct
        for k, names in enumerate([("a",), ("a",), ("b",), ("a",), ("a", "b"), ("b",), ("b", "c")])
    ]
    half = sigmoid(0.5)
    assert told == pytest.approx([0.5, sigmoid(1.0), 0.5, 0.5, half, sigmoid(1.0), half])


def test_given_another_scale_in_between_then_again_is_false() -> None:
    parameters = Parameters(any_scale=ScaleParameters(prediction=PredictionWeights(again=1.0)))
    learner = Learner()
    for k, (scale, name) in enumerate([("x", "a"), ("y", "b")]):
        apply(learner, answer(k, scale=scale, concepts=[name]), parameters)
    told = apply(learner, answer(2, scale="x", concepts=["a"]), parameters)
    assert told.probability_correct == 0.5


@settings(max_examples=examples(40))
@given(st.data(), logs(), st.one_of(st.just(LAST_STEP), st.just(STEPPED), calibrated_parameters()))
def test_given_a_shuffled_log_then_replay_is_the_incremental_fold(
    data: st.DataObject, log: list[Response], parameters: Parameters
) -> None:
    learner = Learner(parameters_version=parameters.version)
    ordered = sorted(log, key=lambda answer: answer.position)
    for response in ordered:
        apply(learner, response, parameters)
    assert replay(data.draw(st.permutations(log)), parameters) == learner


def test_given_right_answers_then_the_prediction_rises_and_stays_below_1() -> None:
    learner = Learner()
    told = [apply(learner, answer(k), STEPPED).probability_correct for k in range(300)]
    assert all(b > a for a, b in pairwise(told[:20]))
    assert 0.9 < told[-1] < 1.0


def test_given_a_long_mixed_log_then_predictions_lie_strictly_inside() -> None:
    learner = Learner()
    for response in learner_log(400, seed=3):
        told = apply(learner, response, LAST_STEP)
        assert 0.0 < told.probability_correct < 1.0
        assert all(0.0 < chance < 1.0 for chance in told.concepts)
