"""Replay the end of a learner's log with late answers in their places.

The replay begins at a snapshot before the first late answer, or at the beginning of the log. A late
answer is predicted from the answers before it. Its outcome shows the state after the whole log.
Concepts and scales that changed without being in a late answer are added to the outcome of the last
late answer, so that every changed value is published once.
"""

from collections.abc import Sequence

from workers.estimation.answering import (
    apply,
    concept_prediction,
    unseen,
)
from workers.estimation.learner import ConceptState, Learner, Position, Response
from workers.estimation.observing import (
    AppliedAnswer,
    ConceptChange,
    ScaleChange,
    ability_of,
    apply_observed,
    states_of,
)
from workers.estimation.parameters import Parameters
from workers.estimation.snapshots import Snapshot, SnapshotTaker


class LateReplay:
    """Replays the end of a learner's log with late answers in their places, page by page.

    Args:
        base: a snapshot under the parameters, before all late answers; None: the beginning.
        stored: the stored state of all concepts and abilities, and the sessions of the late
            answers, all without these answers.
        late: late answers.
        parameters: parameters of the new states.
    """

    def __init__(
        self,
        base: Snapshot | None,
        stored: Learner,
        late: Sequence[Response],
        parameters: Parameters,
    ) -> None:
        self.learner = Learner(
            stored.version, None, parameters.version, sessions=dict(stored.sessions)
        )
        if base is not None:
            self.learner.last = base.position
            self.learner.concepts = dict(base.concepts)
            self.learner.abilities = dict(base.abilities)
        self._stored = stored
        self._late = sorted(late, key=_position)
        self._parameters = parameters
        self._taker = SnapshotTaker(0 if base is None else base.responses)
        self._applied: list[AppliedAnswer] = []

    def advance(self, page: Sequence[Response]) -> None:
        """Replay the next stored answers and the late ones among them.

        Args:
            page: stored answers, in any order, all after those of the pages before.
        """
        for response in sorted(page, key=_position):
            self._apply_late(response.position)
            apply(self.learner, response, self._parameters, in_session=False)
            self._taker.note(self.learner)

    def finish(self) -> list[AppliedAnswer]:
        """Apply the rest of the late answers.

        Returns:
            One entry per late answer, in the learner's order. Its states before are the published
            ones, its states after are those after the whole log.
        """
        self._apply_late(None)
        stored, learner, parameters = self._stored, self.learner, self._parameters
        published = Learner(concepts=dict(stored.concepts), abilities=dict(stored.abilities))
        for response, answer in zip(self._late, self._applied, strict=True):
            _show_current(answer, response, published, learner, parameters)
        if self._late:
            last, response = self._applied[-1], self._late[-1]
            _add_others(
                last,
                self._late,
                published,
                learner,
                parameters,
                new_parameters=stored.parameters_version != parameters.version,
            )
            _add_scales(last, response, published, learner, parameters)
        return self._applied

    def apply_new(self, response: Response) -> AppliedAnswer:
        """Apply an answer after the whole log."""
        answer = apply_observed(self.learner, response, self._parameters)
        self._taker.note(self.learner)
        return answer

    def snapshots(self) -> list[Snapshot]:
        """Return the states to keep, of those on the way."""
        return self._taker.taken()

    def _apply_late(self, before: Position | None) -> None:
        """Apply the late answers before a position; None: all that are left."""
        for response in self._late[len(self._applied) :]:
            if before is not None and response.position > before:
                return
            self._applied.append(self.apply_new(response))


def _position(response: Response) -> Position:
    return response.position


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
