"""Make the events of a rewritten learner: one change for each concept. Pure."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from contracts.mastery import Cause
from workers.estimation.ability import estimates
from workers.estimation.answering import (
    Prediction,
    apply,
    concept_prediction,
    unseen,
    unseen_ability,
)
from workers.estimation.learner import EMPTY_SESSION, AbilityOutcome, Learner, Response
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


class RewriteEvents:
    """Makes the data of `practice.mastery.changed.v1` of a rewrite, without the version.

    Each change names a response: the corrected one for its own concepts, else the newest one on the
    concept. A concept without any counting answer is back at its prior, with 0 attempts. A concept
    that no response ever named was never published, and is not published now.

    Args:
        stored: the stored state before, with all responses.
        learner: the state afterwards.
        log: the responses that count afterwards.
        expected: the prediction for each response of this log.
        parameters: the parameters of the state.
        correction: the correction, if the rewrite is one.
    """

    def __init__(
        self,
        stored: Stored,
        learner: Learner,
        log: Sequence[Response],
        expected: Mapping[str, Prediction],
        parameters: Parameters,
        *,
        correction: Correction | None,
    ) -> None:
        self._stored = stored
        self._learner = learner
        self._log = log
        self._expected = expected
        self._parameters = parameters
        self._correction = correction
        self._counting = {response.response_id: response for response in log}
        # Counting responses come last, so the newest of them is the newest of all.
        self._newest_last = sorted(
            stored.responses,
            key=lambda response: (response.response_id in self._counting, response.position),
        )
        self._mastery = {row.concept_id: row.mastery for row in stored.concepts}
        self._theta = {row.scale: row.theta for row in stored.abilities}
        self._predicted: dict[str, float] = {}
        self._scale: dict[str, str] = {}

    def changes(
        self, *, concepts: Iterable[str], scales: Iterable[str], sessions: Iterable[str]
    ) -> list[Change]:
        """Return a change for each concept, and more for scales and sessions not covered by one.

        An event carries one concept, one scale and one session: those of its response, or a scale
        that no other event carries. If more scales or sessions changed than events can carry,
        `reconcile` brings the rest to the graph.
        """
        about: dict[str, Response] = {}
        if self._correction is not None:
            (corrected,) = (
                response
                for response in self._stored.responses
                if response.response_id == self._correction.response_id
            )
            about = dict.fromkeys(corrected.concept_ids, corrected)
        for concept_id in concepts:
            if concept_id not in about:
                newest = self._newest(_on_concept(concept_id))
                if newest is not None:
                    about[concept_id] = newest
        scales = list(scales)
        for scale in scales:
            self._cover(about, _on_scale(scale))
        for session in sessions:
            self._cover(about, _in_session(session))
        self._spread(scales, about)
        self._predict(about)
        return [
            Change(concept_id, self._data(concept_id, response))
            for concept_id, response in about.items()
        ]

    def _newest(self, wanted: Callable[[Response], bool]) -> Response | None:
        return next(
            (response for response in reversed(self._newest_last) if wanted(response)), None
        )

    def _cover(self, about: dict[str, Response], wanted: Callable[[Response], bool]) -> None:
        newest = self._newest(wanted)
        if newest is None or any(map(wanted, about.values())):
            return
        for concept_id in newest.concept_ids:
            if concept_id not in about:
                about[concept_id] = newest
                return

    def _spread(self, scales: Sequence[str], about: Mapping[str, Response]) -> None:
        """Add a changed scale that no event carries to a second event of that scale."""
        self._scale = {concept_id: response.scale for concept_id, response in about.items()}
        for scale in scales:
            uses = Counter(self._scale.values())
            spare = next((c for c, its in self._scale.items() if uses[its] > 1), None)
            if spare is not None and not uses[scale]:
                self._scale[spare] = scale

    def _data(self, concept_id: str, published: Response) -> dict[str, Any]:
        response = self._as_it_counts(published)
        state = self._learner.concepts.get(concept_id)
        outcome = concept_outcome(
            concept_id,
            state or unseen(concept_id, self._parameters),
            self._parameters,
            previous_mastery=self._previous_mastery(concept_id),
            probability_correct=self._predicted[concept_id],
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

    def _as_it_counts(self, published: Response) -> Response:
        """Return the response with its counting score; a voided one as it was published."""
        return self._counting.get(published.response_id, published)

    def _previous_mastery(self, concept_id: str) -> float:
        stored = self._mastery.get(concept_id)
        # The stored value may not be a probability: it is being repaired.
        if stored is None or not 0.0 <= stored <= 1.0:
            return unseen(concept_id, self._parameters).mastery
        return stored

    def _predict(self, about: Mapping[str, Response]) -> None:
        """Predict each of these answers on its concept.

        Answers that do not count, or that lack the concept, share one more replay.
        """
        due = []
        for concept_id, answer in about.items():
            counting = self._counting.get(answer.response_id)
            if counting is not None and concept_id in counting.concept_ids:
                at = counting.concept_ids.index(concept_id)
                self._predicted[concept_id] = self._expected[answer.response_id].concepts[at]
            else:
                due.append((self._as_it_counts(answer).position, concept_id))
        due.sort()
        learner = Learner(parameters_version=self._parameters.version)
        log = sorted(self._log, key=lambda answer: answer.position)
        at = 0
        for position, concept_id in due:
            while at < len(log) and log[at].position < position:
                apply(learner, log[at], self._parameters)
                at += 1
            response = self._as_it_counts(about[concept_id])
            self._predicted[concept_id] = concept_prediction(
                learner, concept_id, response, self._parameters
            )

    def _ability(self, scale: str) -> dict[str, Any]:
        none = unseen_ability(scale, self._parameters)
        state = self._learner.abilities.get(scale, none)
        now, prior = estimates([state, none])
        previous = self._theta.get(scale, prior.theta)
        # The stored value may not be a number: it is being repaired.
        known = math.isfinite(previous)
        outcome = AbilityOutcome(now, previous if known else prior.theta, person_fit(state))
        return ability_document(scale, outcome)


def _on_concept(concept_id: str) -> Callable[[Response], bool]:
    return lambda response: concept_id in response.concept_ids


def _on_scale(scale: str) -> Callable[[Response], bool]:
    return lambda response: response.scale == scale


def _in_session(session_id: str) -> Callable[[Response], bool]:
    return lambda response: response.session_id == session_id
