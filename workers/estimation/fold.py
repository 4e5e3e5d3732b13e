"""The fold: learners and their new answers in, their new states and outcomes out.

A learner's answers count in the learner's own order, `Position`. Answers that follow the newest
one known are folded onto the stored state; a late one, and a state under other parameters, make
the learner's whole log be replayed. Either way the state is the one that a replay of all answers in
order gives, to the last bit.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from workers.estimation.ability import AbilityEstimate, AbilityState, estimates
from workers.estimation.answering import (
    Prediction,
    apply,
    concept_prediction,
    unseen,
    unseen_ability,
)
from workers.estimation.learner import (
    AbilityOutcome,
    ConceptOutcome,
    ConceptState,
    Learner,
    LearnerKey,
    Outcome,
    Response,
    ScaleOutcome,
    SessionState,
)
from workers.estimation.outcomes import concept_outcome
from workers.estimation.parameters import Parameters
from workers.estimation.person_fit import person_fit


@dataclass(slots=True)
class Work:
    """What is to be folded for one learner.

    Args:
        key: who.
        learner: the stored state; of a late learner the whole of it.
        responses: new answers, none of them in the log, each once, in any order.
        log: the learner's whole log, in any order; needed if an answer is late, or if the state
            is one under other parameters.
    """

    key: LearnerKey
    learner: Learner
    responses: list[Response]
    log: list[Response] | None = None


@dataclass(slots=True)
class Folded:
    """What the fold made of one learner.

    ``concepts``, ``abilities`` and ``sessions`` name what changed and, by its index in
    ``responses``, the answer that has the newest event about it.

    Args:
        key: who.
        learner: the new state (of the parts loaded), still under the version it came from: a
            new one is the database's to give.
        responses: the new answers in the learner's order.
        outcomes: what each of them brought.
        estimates: of each scale that changed, the ability now.
        under_new_parameters: whether the state was one under others.
    """

    key: LearnerKey
    learner: Learner
    responses: list[Response]
    outcomes: list[Outcome] = field(default_factory=list)
    concepts: dict[str, int] = field(default_factory=dict)
    abilities: dict[str, int] = field(default_factory=dict)
    sessions: dict[str, int] = field(default_factory=dict)
    estimates: dict[str, AbilityEstimate] = field(default_factory=dict)
    under_new_parameters: bool = False


def fold(works: Sequence[Work], parameters: Parameters) -> list[Folded]:
    """Fold new answers of many learners; their abilities are estimated all at once.

    Args:
        works: one for each learner, each with at least one answer.
        parameters: under which all states are wanted.

    Raises:
        ValueError: if a learner has to be replayed and the log is not given.
    """
    passes = [_Pass(work, parameters) for work in works]
    found = iter(estimates([state for one in passes for state in one.ability_states()]))
    return [one.conclude(found) for one in passes]


@dataclass(slots=True)
class _Moment:
    """What surrounds one new answer: the states before and after it, concept by concept.

    ``others`` are concepts that are told of although they are none of the answer's: name, state
    before and after, and what was expected on them.
    """

    before: list[ConceptState]
    after: list[ConceptState]
    ability_before: AbilityState
    ability_after: AbilityState
    session: SessionState | None
    prediction: Prediction
    others: list[tuple[str, ConceptState, ConceptState, float]] = field(default_factory=list)
    scales: list["_OtherScale"] = field(default_factory=list)


class _OtherScale(NamedTuple):
    """A scale that is none of the answer's, whose ability changed all the same."""

    scale: str
    teller: str | None
    """The concept, none of the answer's, that tells of it; None: there is none left."""
    before: AbilityState
    after: AbilityState


class _Pass:
    """One learner's way through a fold."""

    def __init__(self, work: Work, parameters: Parameters) -> None:
        self._parameters = parameters
        self._key = work.key
        self._new = sorted(work.responses, key=_position)
        stored = work.learner
        last = stored.last
        late = 0 if last is None else sum(r.position < last for r in self._new)
        self._new_parameters = last is not None and stored.parameters_version != parameters.version
        if self._new_parameters:
            # Every stored value may change, as with a late answer; so all of them are told alike.
            late = len(self._new)
        if late:
            if work.log is None:
                raise ValueError(f"{work.key} has to be replayed, and its log is not given")
            self._learner = Learner(stored.version, None, parameters.version)
            self._moments = self._replay(stored, work.log, self._new[:late])
        else:
            self._learner = Learner(
                stored.version,
                last,
                parameters.version,
                dict(stored.concepts),
                dict(stored.abilities),
                dict(stored.sessions),
            )
            self._moments = []
        self._moments += [self._observe(response) for response in self._new[late:]]

    def _observe(self, response: Response) -> _Moment:
        """Apply an answer and keep what surrounds it."""
        learner = self._learner
        ability = learner.abilities.get(response.scale) or self._unseen_ability(response)
        before = self._states(learner.concepts, response)
        prediction = apply(learner, response, self._parameters)
        return _Moment(
            before,
            [learner.concepts[c] for c in response.concept_ids],
            ability,
            learner.abilities[response.scale],
            None if response.session_id is None else learner.sessions[response.session_id],
            prediction,
        )

    def _states(self, of: Mapping[str, ConceptState], response: Response) -> list[ConceptState]:
        return [of.get(c) or unseen(c, self._parameters) for c in response.concept_ids]

    def _unseen_ability(self, response: Response) -> AbilityState:
        return unseen_ability(response.scale, self._parameters)

    def _replay(self, stored: Learner, log: list[Response], late: list[Response]) -> list[_Moment]:
        """Replay the log with the late answers in their places.

        A late answer is predicted from what the learner had answered before it, and tells what is
        current once all of the log and all late answers are in.
        """
        late_ids = {r.response_id for r in late}
        moments: list[_Moment] = []
        for response in sorted([*log, *late], key=_position):
            if response.response_id in late_ids:
                moments.append(self._observe(response))
            else:
                apply(self._learner, response, self._parameters)
        now = self._learner
        told, scales = dict(stored.concepts), dict(stored.abilities)
        for response, moment in zip(late, moments, strict=True):
            moment.ability_before = scales.get(response.scale) or self._unseen_ability(response)
            moment.before = self._states(told, response)
            moment.after = [now.concepts[c] for c in response.concept_ids]
            told.update(zip(response.concept_ids, moment.after, strict=True))
            moment.ability_after = scales[response.scale] = now.abilities[response.scale]
            if response.session_id is not None:
                moment.session = now.sessions[response.session_id]
        answered = {concept_id for response in late for concept_id in response.concept_ids}
        for concept_id, state in now.concepts.items():
            # The same state under another covariance has another interval.
            uncertain = self._new_parameters and state.gradient and concept_id not in answered
            if told.get(concept_id) != state or uncertain:
                self._add_other(moments[-1], late[-1], concept_id, told.get(concept_id), state)
        # A concept answered on two scales hands on to each what it learns on the other.
        for scale, ability in now.abilities.items():
            if scales.get(scale) != ability:
                self._add_scale(moments[-1], late[-1], scale, scales.get(scale), ability)
        return moments

    def _add_scale(
        self,
        moment: _Moment,
        response: Response,
        scale: str,
        told: AbilityState | None,
        now: AbilityState,
    ) -> None:
        carrying = {one.teller for one in moment.scales}
        changed = [concept_id for concept_id, *_ in moment.others]
        teller = next((one for one in changed if one not in carrying), None)
        if teller is None:
            known = {*changed, *response.concept_ids}
            teller = next((one for one in self._learner.concepts if one not in known), None)
            if teller is not None:
                state = self._learner.concepts[teller]
                self._add_other(moment, response, teller, state, state)
        before = told or unseen_ability(scale, self._parameters)
        moment.scales.append(_OtherScale(scale, teller, before, now))

    def _add_other(
        self,
        moment: _Moment,
        response: Response,
        concept_id: str,
        told: ConceptState | None,
        now: ConceptState,
    ) -> None:
        ability = moment.ability_before
        before = told or unseen(concept_id, self._parameters)
        known = Learner(concepts={concept_id: before}, abilities={response.scale: ability})
        expected = concept_prediction(known, concept_id, response, self._parameters)
        moment.others.append((concept_id, before, now, expected))

    def ability_states(self) -> Iterator[AbilityState]:
        """The states whose estimates the outcomes need: before and after each new answer."""
        for moment in self._moments:
            yield moment.ability_before
            yield moment.ability_after
            for other in moment.scales:
                yield other.before
                yield other.after

    def conclude(self, found: Iterator[AbilityEstimate]) -> Folded:
        """Build the outcomes; `found` yields the estimates of `ability_states` in order."""
        folded = Folded(
            self._key, self._learner, self._new, under_new_parameters=self._new_parameters
        )
        for at, (response, moment) in enumerate(zip(self._new, self._moments, strict=True)):
            previous, current = next(found), next(found)
            scales = self._other_scales(moment, at, folded, found)
            changes = [
                self._outcome(*change)
                for change in zip(
                    response.concept_ids,
                    moment.before,
                    moment.after,
                    moment.prediction.concepts,
                    strict=True,
                )
            ]
            changes += [
                self._outcome(*other)._replace(ability=scales.get(other[0]))
                for other in moment.others
            ]
            folded.outcomes.append(
                Outcome(
                    tuple(changes),
                    AbilityOutcome(current, previous.theta, person_fit(moment.ability_after)),
                    moment.session,
                    self._parameters.version,
                    moment.prediction.probability_correct,
                )
            )
            for change in changes:
                folded.concepts[change.concept_id] = at
            folded.abilities[response.scale] = at
            folded.estimates[response.scale] = current
            if response.session_id is not None:
                folded.sessions[response.session_id] = at
        return folded

    @staticmethod
    def _other_scales(
        moment: _Moment, at: int, folded: Folded, found: Iterator[AbilityEstimate]
    ) -> dict[str, ScaleOutcome]:
        """Note the other scales that changed; what is told of them, by the concept that tells."""
        told = {}
        for other in moment.scales:
            previous, current = next(found), next(found)
            folded.abilities[other.scale] = at
            folded.estimates[other.scale] = current
            if other.teller is not None:
                outcome = AbilityOutcome(current, previous.theta, person_fit(other.after))
                told[other.teller] = ScaleOutcome(other.scale, outcome)
        return told

    def _outcome(
        self,
        concept_id: str,
        before: ConceptState,
        after: ConceptState,
        expected: float,
    ) -> ConceptOutcome:
        return concept_outcome(
            concept_id,
            after,
            self._parameters,
            previous_mastery=before.mastery,
            probability_correct=expected,
        )


def _position(response: Response) -> tuple[int, str]:
    return response.answered_at_us, response.response_id
