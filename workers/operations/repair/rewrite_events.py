"""Make the events of a rewritten learner: one change for each concept. Pure."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from contracts.mastery import Cause
from workers.estimation.ability import estimates
from workers.estimation.answering import unseen, unseen_ability
from workers.estimation.learner import EMPTY_SESSION, AbilityOutcome
from workers.estimation.outcomes import concept_outcome
from workers.estimation.parameters import Parameters
from workers.estimation.person_fit import person_fit
from workers.ledger.corrections import Correction
from workers.ledger.outbox import Change
from workers.ledger.outcomes import (
    ability_document,
    concept_document,
    response_document,
    session_document,
)
from workers.ledger.rows import Stored
from workers.operations.repair.log_replay import LogReplay, Passed


class RewriteEvents:
    """Makes the data of `practice.mastery.changed.v1` of a rewrite, without the version.

    Each change names a response: the corrected one for its own concepts, else the newest one on the
    concept. A concept without any counting answer is back at its prior, with 0 attempts. A concept
    that no response ever named was never published, and is not published now.

    Args:
        stored: the stored state before.
        replay: the replay, with the state afterwards.
        parameters: the parameters of the state.
        correction: the correction, if the rewrite is one.
    """

    def __init__(
        self,
        stored: Stored,
        replay: LogReplay,
        parameters: Parameters,
        *,
        correction: Correction | None,
    ) -> None:
        self._stored = stored
        self._replay = replay
        self._learner = replay.learner
        self._parameters = parameters
        self._correction = correction
        self._mastery = {row.concept_id: row.mastery for row in stored.concepts}
        self._theta = {row.scale: row.theta for row in stored.abilities}
        self._scale: dict[str, str] = {}

    def changes(
        self, *, concepts: Iterable[str], scales: Iterable[str], sessions: Iterable[str]
    ) -> list[Change]:
        """Return a change for each concept, and more for scales and sessions not covered by one.

        An event carries one concept, one scale and one session: those of its response, or a scale
        that no other event carries. If more scales or sessions changed than events can carry,
        `reconcile` brings the rest to the graph.
        """
        about: dict[str, Passed] = {}
        corrected = self._replay.about
        if corrected is not None:
            about = dict.fromkeys(corrected.response.concept_ids, corrected)
        for concept_id in concepts:
            newest = self._replay.on_concept.get(concept_id)
            if concept_id not in about and newest is not None:
                about[concept_id] = newest
        scales = list(scales)
        for scale in scales:
            if all(passed.response.scale != scale for passed in about.values()):
                _cover(about, self._replay.on_scale.get(scale))
        in_events = {passed.response.session_id for passed in about.values()}
        for session_id in sessions:
            if session_id not in in_events:
                newest = self._replay.in_session.get(session_id)
                if _cover(about, newest):
                    in_events.add(session_id)
        self._spread(scales, about)
        return [
            Change(concept_id, self._data(concept_id, passed))
            for concept_id, passed in about.items()
        ]

    def _spread(self, scales: Sequence[str], about: Mapping[str, Passed]) -> None:
        """Add a changed scale that no event carries to a second event of that scale."""
        self._scale = {concept_id: passed.response.scale for concept_id, passed in about.items()}
        for scale in scales:
            uses = Counter(self._scale.values())
            spare = next((c for c, its in self._scale.items() if uses[its] > 1), None)
            if spare is not None and not uses[scale]:
                self._scale[spare] = scale

    def _data(self, concept_id: str, passed: Passed) -> dict[str, Any]:
        response = passed.response
        state = self._learner.concepts.get(concept_id)
        outcome = concept_outcome(
            concept_id,
            state or unseen(concept_id, self._parameters),
            self._parameters,
            previous_mastery=self._previous_mastery(concept_id),
            probability_correct=passed.expected_on(concept_id),
        )
        if state is None:
            # No answer counts: the prior has no interval, and the event names the last answer.
            outcome = outcome._replace(last_answered_at_us=response.answered_at_us, interval=None)
        data: dict[str, Any] = {
            **concept_document(outcome),
            **response_document(response),
            "ability": self._ability(self._scale[concept_id]),
            "parameters_version": self._parameters.version,
            "cause": self._cause(),
        }
        if self._correction is not None:
            data["correction"] = self._correction.kind
        if response.session_id is not None:
            session = self._learner.sessions.get(response.session_id)
            data["session_id"] = response.session_id
            data["session"] = session_document(session or EMPTY_SESSION)
        return data

    def _cause(self) -> Cause:
        if self._correction is not None:
            return "correction"
        under_others = self._stored.parameters_version != self._parameters.version
        # If the learner's own row was lost, its former version is unknown.
        return "parameters" if under_others and self._stored.version else "rebuild"

    def _previous_mastery(self, concept_id: str) -> float:
        stored = self._mastery.get(concept_id)
        # The stored value may not be a probability: it is being repaired.
        if stored is None or not 0.0 <= stored <= 1.0:
            return unseen(concept_id, self._parameters).mastery
        return stored

    def _ability(self, scale: str) -> dict[str, Any]:
        none = unseen_ability(scale, self._parameters)
        state = self._learner.abilities.get(scale, none)
        now, prior = estimates([state, none])
        previous = self._theta.get(scale, prior.theta)
        # The stored value may not be a number: it is being repaired.
        known = math.isfinite(previous)
        outcome = AbilityOutcome(now, previous if known else prior.theta, person_fit(state))
        return ability_document(scale, outcome)


def _cover(about: dict[str, Passed], newest: Passed | None) -> bool:
    """Let an event that is not there yet carry the scale and session of a response."""
    if newest is None:
        return False
    for concept_id in newest.response.concept_ids:
        if concept_id not in about:
            about[concept_id] = newest
            return True
    return False
