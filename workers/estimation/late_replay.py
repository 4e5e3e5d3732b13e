"""Replay a learner's whole log with late answers in their places.

A late answer is predicted from the answers before it. Its outcome shows the state after the whole
log. Concepts and scales that changed without being in a late answer are added to the outcome of the
last late answer, so that every changed value is published once.
"""

from collections.abc import Sequence

from workers.estimation.answering import (
    apply,
    concept_prediction,
    unseen,
)
from workers.estimation.learner import ConceptState, Learner, Response
from workers.estimation.observing import (
    AppliedAnswer,
    ConceptChange,
    ScaleChange,
    ability_of,
    apply_observed,
    states_of,
)
from workers.estimation.parameters import Parameters


def replay_late(
    learner: Learner,
    stored: Learner,
    log: Sequence[Response],
    late: Sequence[Response],
    parameters: Parameters,
) -> list[AppliedAnswer]:
    """Replay a log with late answers in their places.

    Args:
        learner: the empty learner to replay into, in place.
        stored: the whole state before the late answers.
        log: all earlier answers of the learner, in any order.
        late: at least one late answer, in the learner's order.
        parameters: parameters of the new states.

    Returns:
        One entry per late answer, in the order of ``late``. Its states before are the published
        ones, its states after are those after the whole log.
    """
    late_ids = {response.response_id for response in late}
    applied: list[AppliedAnswer] = []
    for response in sorted([*log, *late], key=lambda response: response.position):
        if response.response_id in late_ids:
            applied.append(apply_observed(learner, response, parameters))
        else:
            apply(learner, response, parameters)
    published = Learner(concepts=dict(stored.concepts), abilities=dict(stored.abilities))
    for response, answer in zip(late, applied, strict=True):
        _show_current(answer, response, published, learner, parameters)
    _add_others(
        applied[-1],
        late,
        published,
        learner,
        parameters,
        new_parameters=stored.parameters_version != parameters.version,
    )
    _add_scales(applied[-1], late[-1], published, learner, parameters)
    return applied


def _show_current(
    answer: AppliedAnswer,
    response: Response,
    published: Learner,
    current: Learner,
    parameters: Parameters,
) -> None:
    """Replace the states around a late answer by the published and the current ones."""
    answer.ability_before = ability_of(published, response.scale, parameters)
    answer.before = states_of(published, response, parameters)
    answer.after = [current.concepts[concept_id] for concept_id in response.concept_ids]
    answer.ability_after = current.abilities[response.scale]
    published.concepts.update(zip(response.concept_ids, answer.after, strict=True))
    published.abilities[response.scale] = answer.ability_after
    if response.session_id is not None:
        answer.session = current.sessions[response.session_id]


def _add_others(
    answer: AppliedAnswer,
    late: Sequence[Response],
    published: Learner,
    current: Learner,
    parameters: Parameters,
    *,
    new_parameters: bool,
) -> None:
    """Add the concepts whose published state is not the current one."""
    answered = {concept_id for response in late for concept_id in response.concept_ids}
    for concept_id, state in current.concepts.items():
        # Under another covariance an equal state has another interval.
        interval_differs = new_parameters and state.gradient and concept_id not in answered
        before = published.concepts.get(concept_id)
        if before != state or interval_differs:
            before = before or unseen(concept_id, parameters)
            _add_other(answer, late[-1], concept_id, (before, state), parameters)


def _add_other(
    answer: AppliedAnswer,
    response: Response,
    concept_id: str,
    states: tuple[ConceptState, ConceptState],
    parameters: Parameters,
) -> None:
    """Add a concept with its states before and after."""
    before, after = states
    known = Learner(
        concepts={concept_id: before}, abilities={response.scale: answer.ability_before}
    )
    expected = concept_prediction(known, concept_id, response, parameters)
    answer.others.append(ConceptChange(concept_id, before, after, expected))


def _add_scales(
    answer: AppliedAnswer,
    response: Response,
    published: Learner,
    current: Learner,
    parameters: Parameters,
) -> None:
    """Add the scales whose published ability is not the current one.

    An answer on a concept of two scales changes the ability on both.
    """
    for scale, ability in current.abilities.items():
        if published.abilities.get(scale) != ability:
            concept_id = _carrier(answer, response, current, parameters)
            before = ability_of(published, scale, parameters)
            answer.scales.append(ScaleChange(scale, concept_id, before, ability))


def _carrier(
    answer: AppliedAnswer, response: Response, current: Learner, parameters: Parameters
) -> str | None:
    """Choose the concept whose event carries the ability of another scale.

    One event carries one ability. Changed concepts are taken first, then an unchanged concept,
    which is added to the outcome for this purpose.

    Returns:
        A concept that is not in the answer; None if none is left.
    """
    carriers = {scale.concept_id for scale in answer.scales}
    changed = [change.concept_id for change in answer.others]
    free = next((concept_id for concept_id in changed if concept_id not in carriers), None)
    if free is not None:
        return free
    taken = {*changed, *response.concept_ids}
    unchanged = next(
        (concept_id for concept_id in current.concepts if concept_id not in taken), None
    )
    if unchanged is not None:
        state = current.concepts[unchanged]
        _add_other(answer, response, unchanged, (state, state), parameters)
    return unchanged
