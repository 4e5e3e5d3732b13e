"""Predict one answer from all earlier ones, then fold it into the learner's state."""

import math
from typing import Final, NamedTuple

from workers.estimation.ability import AbilityState
from workers.estimation.bkt import answer_probabilities, likelihood_ratio, probability, update
from workers.estimation.gradients import (
    gradient_of_answer,
    gradient_of_loss,
    gradient_of_prior,
    gradient_of_transition,
)
from workers.estimation.items import ItemParameters
from workers.estimation.last_step import sums_after
from workers.estimation.learner import EMPTY_SESSION, ConceptState, Learner, Position, Response
from workers.estimation.logistic import sigmoid
from workers.estimation.parameters import BktParameters, Parameters
from workers.estimation.person_fit import Surprise, surprise_of
from workers.estimation.scales import ScaleParameters, evidence

_DAY_US: Final = 86_400_000_000
_UNCALIBRATED: Final = AbilityState()


class Prediction(NamedTuple):
    """Expected scores of an answer before it was seen, and the states they follow from."""

    probability_correct: float
    """Expected score of the answer, in [0, 1]."""
    concepts: tuple[float, ...]
    """Expected score by each concept alone, in the response's order, in [0, 1]."""
    before: list[ConceptState]
    """States of the concepts, in the response's order; unseen ones at their prior."""
    ability: AbilityState
    """Ability on the response's scale; at its prior before the first answer."""


def unseen(concept_id: str, parameters: Parameters) -> ConceptState:
    """Return the state of a concept before its first answer."""
    model = parameters.of_concept(concept_id)
    return ConceptState(*model.prior_odds, 0, 0, gradient=gradient_of_prior(model))


def unseen_ability(scale: str, parameters: Parameters) -> AbilityState:
    """Return the state of an ability before its first answer."""
    of_scale = parameters.of_scale(scale)
    if of_scale is None:
        return _UNCALIBRATED
    return AbilityState(0, 0.0, of_scale.mean, of_scale.variance)


def apply(
    learner: Learner, response: Response, parameters: Parameters, *, in_session: bool = True
) -> Prediction:
    """Fold one answer into a learner's state, in place.

    Args:
        learner: the state; the answer must follow all earlier ones.
        response: the answer.
        parameters: parameters of the state.
        in_session: False leaves sessions as they are, because they count the answer already.

    Returns:
        The prediction from the state before the answer.
    """
    concepts, score, last = learner.concepts, response.score, learner.last
    scale = parameters.of_scale(response.scale)
    ability = learner.abilities.get(response.scale) or unseen_ability(response.scale, parameters)
    before = [
        concepts.get(concept_id) or unseen(concept_id, parameters)
        for concept_id in response.concept_ids
    ]
    moved = None if scale is None else _move(ability, before, response, scale, parameters)
    item = parameters.items.get(response.item_id)
    expected, logits = [], []
    for at, (concept_id, old) in enumerate(zip(response.concept_ids, before, strict=True)):
        model = parameters.of_concept(concept_id)
        lost = _lost(old, model, response.answered_at_us)
        mantissa, exponent = _kept(old, lost)
        mastery = probability(mantissa, exponent)
        chances = answer_probabilities(mastery, model, item)
        concept_offset, sums = (old.concept_offset, old.offset_variance), (old.recent, old.lasting)
        weights = None if scale is None else parameters.prediction_of(concept_id, scale)
        if moved is not None:
            concept_offset = moved.offsets[at]
        if moved is None or weights is None:
            expected.append(chances[0])
        else:
            again = _again(old, last)
            eta = weights.logit(moved.z, chances, mastery, sums, old.attempts, again=again)
            logits.append(eta)
            expected.append(sigmoid(eta))
            sums = sums_after(sums, score)
        ratio = _ratio(model, item, score)
        gradient = old.gradient
        if len(gradient) == len(model.covariance) > 0:
            if lost:
                gradient = gradient_of_loss(gradient, (old.mantissa, old.exponent), lost)
            gradient = gradient_of_answer(gradient, model, item, score)
            gradient = gradient_of_transition(gradient, (mantissa * ratio, exponent), model)
        else:
            # A state without a gradient cannot continue one.
            gradient = ()
        odds = update(mantissa, exponent, ratio, model.learn, model.forget)
        at_us = response.answered_at_us
        concepts[concept_id] = ConceptState(
            *odds, old.attempts + 1, at_us, *concept_offset, gradient, *sums
        )
    if in_session and response.session_id is not None:
        session = learner.sessions.get(response.session_id) or EMPTY_SESSION
        learner.sessions[response.session_id] = session.after(response)
    learner.last = response.position
    probability_correct = sum(expected) / len(expected)
    if scale is None or moved is None:
        learner.abilities[response.scale] = ability.after(score)
        return Prediction(probability_correct, tuple(expected), before, ability)
    if scale.predicts:
        probability_correct = moved.probability
    elif logits:
        probability_correct = sigmoid(sum(logits) / len(logits))
    surprise = surprise_of(score, probability_correct)
    learner.abilities[response.scale] = _surprised(moved.ability, ability, surprise)
    return Prediction(probability_correct, tuple(expected), before, ability)


def _surprised(after: AbilityState, before: AbilityState, added: Surprise) -> AbilityState:
    return after._replace(
        surprise=before.surprise + added.surprise,
        surprise_variance=before.surprise_variance + added.variance,
    )


def concept_prediction(
    learner: Learner, concept_id: str, response: Response, parameters: Parameters
) -> float:
    """Predict an answer from one concept alone, without changing the state.

    Args:
        learner: the state before the answer.
        concept_id: the concept; it need not be one of the response's.
        response: the answer.
        parameters: parameters of the state.

    Returns:
        Expected score, in [0, 1].
    """
    names = response.concept_ids if concept_id in response.concept_ids else (concept_id,)
    states = [learner.concepts.get(name) or unseen(name, parameters) for name in names]
    model = parameters.of_concept(concept_id)
    state = states[names.index(concept_id)]
    mastery = probability(*_kept(state, _lost(state, model, response.answered_at_us)))
    chances = answer_probabilities(mastery, model, parameters.items.get(response.item_id))
    scale = parameters.of_scale(response.scale)
    weights = None if scale is None else parameters.prediction_of(concept_id, scale)
    if scale is None or weights is None:
        return chances[0]
    ability = learner.abilities.get(response.scale) or unseen_ability(response.scale, parameters)
    asked = response._replace(concept_ids=names)
    z = _move(ability, states, asked, scale, parameters).z
    sums, again = (state.recent, state.lasting), _again(state, learner.last)
    return sigmoid(weights.logit(z, chances, mastery, sums, state.attempts, again=again))


class _Moved(NamedTuple):
    """Effect of an answer on ability, and the prediction by ability."""

    ability: AbilityState
    """Ability after the answer."""
    offsets: list[tuple[float, float]]
    """Mean and variance of the offset of each concept of the answer."""
    z: float
    """The filter's logit of a right answer before it."""
    probability: float
    """Expected score before the answer."""


def _move(
    ability: AbilityState,
    states: list[ConceptState],
    response: Response,
    scale: ScaleParameters,
    parameters: Parameters,
) -> _Moved:
    """Update ability and concept offsets by an answer.

    Formulas and sources: `workers.estimation.scales`.
    """
    share = 1.0 / len(states)
    around = [parameters.offset_of(c, scale) for c in response.concept_ids]
    variances = [
        # A concept answered only on uncalibrated scales so far is new on this one.
        state.offset_variance or spread.variance
        for state, spread in zip(states, around, strict=True)
    ]
    mean = ability.mean + share * sum(state.concept_offset for state in states)
    variance = ability.variance + share * share * sum(variances)
    item = parameters.item_of(response.item_id, response.concept_ids, scale)
    seen = evidence(item, mean, variance, response.score)
    after = AbilityState(
        ability.responses + 1,
        ability.score + response.score,
        ability.mean + ability.variance * seen.gradient,
        ability.variance * (1.0 - seen.curvature * ability.variance) + scale.walk,
    )
    moved = [
        (
            spread.kept * (state.concept_offset + share * offset_variance * seen.gradient)
            + spread.practice(state.attempts),
            spread.kept
            * spread.kept
            * offset_variance
            * (1.0 - seen.curvature * share * share * offset_variance)
            + spread.walk,
        )
        for state, offset_variance, spread in zip(states, variances, around, strict=True)
    ]
    return _Moved(after, moved, seen.z, seen.probability)


def _again(state: ConceptState, last: Position | None) -> bool:
    """Return True if the learner's newest answer was on the concept too."""
    return last is not None and state.attempts > 0 and state.answered_at_us == last.answered_at_us


def _lost(state: ConceptState, model: BktParameters, now_us: int) -> float:
    """Return the share of a concept's knowledge lost since its newest answer, in [0, 1)."""
    if model.decay_per_day == 0.0 or state.attempts == 0:
        return 0.0
    days = (now_us - state.answered_at_us) / _DAY_US
    return min(-math.expm1(-model.decay_per_day * days), 1.0 - 2.0**-53)


def _kept(state: ConceptState, lost: float) -> tuple[float, int]:
    """Return the odds of a concept after the decay."""
    if not lost:
        return state.mantissa, state.exponent
    return update(state.mantissa, state.exponent, 1.0, 0.0, lost)


def _ratio(model: BktParameters, item: ItemParameters | None, score: float) -> float:
    if item is not None and item.ratios is not None:
        right, wrong = item.ratios
        return float(right**score * wrong ** (1.0 - score))
    return likelihood_ratio(model, score)
