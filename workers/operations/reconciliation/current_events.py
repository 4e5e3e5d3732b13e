"""Make the events of a learner's current values: the original ones, or else new ones. Pure."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from workers.common.times import iso
from workers.estimation.ability import AbilityEstimate
from workers.estimation.learner import AbilityOutcome, ConceptOutcome
from workers.ledger.current import Current, CurrentAbility, CurrentConcept, CurrentSession
from workers.ledger.exchange import Recorded
from workers.ledger.outcomes import (
    ability_document,
    concept_document,
    response_document,
    session_document,
)
from workers.publishing.mastery_events import current_event, restated_events


class CurrentEvents(NamedTuple):
    """A learner's current values as events.

    Args:
        events: `practice.mastery.changed.v1` as JSON, in the order of their versions.
        unpublished: number of rows that no event can carry: scales and sessions rewritten alone.
    """

    events: list[bytes]
    unpublished: int


def current_events(current: Current, now_us: int) -> CurrentEvents:
    """Return the events of a learner's current values.

    If a response has the version of a row, its event is sent again with its own id, which
    subscribers recognise. A correction or a rebuild gives a row a version that no response has;
    its event is made from the row, with an id made of that version.

    Args:
        current: the current values of one learner.
        now_us: the time of new events, microseconds since 1970.
    """
    return _CurrentEventsBuilder(current, now_us).restated()


class _CurrentEventsBuilder:
    def __init__(self, current: Current, now_us: int) -> None:
        self._current = current
        self._now_us = now_us
        self._owners = {recorded.version: recorded for recorded in current.responses}
        self._sent: list[tuple[int, bytes]] = []
        self._scales: set[str] = set()
        self._sessions: set[str] = set()
        """Scales and sessions that an event made from a row carries."""
        self._unpublished = 0

    def restated(self) -> CurrentEvents:
        wanted: dict[int, set[str]] = {}
        for row in self._current.concepts:
            owner = self._owners.get(row.version)
            if owner is not None and _said(owner, row):
                wanted.setdefault(row.version, set()).add(row.concept_id)
            else:
                self._state(row)
        for carried in self._carried():
            carried_names = self._scales if isinstance(carried, CurrentAbility) else self._sessions
            carriers = self._carriers(carried)
            sent = wanted.get(carried.version, set())
            if carried[0] in carried_names or not sent.isdisjoint(carriers):
                continue
            wrong = {
                row.concept_id
                for row in self._current.concepts
                if row.version == carried.version and row.concept_id not in sent
            }
            carrier = next((concept_id for concept_id in carriers if concept_id not in wrong), None)
            if carrier is None:
                self._unpublished += 1
            else:
                wanted.setdefault(carried.version, set()).add(carrier)
        for version, concept_ids in wanted.items():
            events = restated_events(self._current.key, self._owners[version], concept_ids)
            self._sent += [(version, event) for event in events]
        self._sent.sort(key=lambda version_and_event: version_and_event[0])
        return CurrentEvents([event for _, event in self._sent], self._unpublished)

    def _carriers(self, carried: CurrentAbility | CurrentSession) -> list[str]:
        """Return the concepts whose events of this version carry an ability or a session.

        The value of the concept in such an event is current, or a newer event replaces it.
        """
        owner = self._owners.get(carried.version)
        if owner is None:
            return []
        return [
            change["concept_id"]
            for change in owner.outcome["concepts"]
            if isinstance(carried, CurrentSession)
            or change.get("ability", owner.outcome["ability"])["scale"] == carried.scale
        ]

    def _carried(self) -> Iterator[CurrentAbility | CurrentSession]:
        yield from self._current.abilities
        yield from self._current.sessions

    def _state(self, row: CurrentConcept) -> None:
        """Make the event of a row that no response owns, with an ability and a session."""
        about = self._last_on(row)
        ability = self._ability_beside(row, about)
        if about is None or ability is None:
            self._unpublished += 1
            return
        data = {
            **concept_document(_outcome(row, about)),
            **response_document(about.response),
            "version": row.version,
            "parameters_version": row.parameters_version,
            "ability": _ability_document(ability),
            # It may have been a correction or new parameters: the row does not say.
            "cause": "rebuild",
        }
        if ability.version == row.version:
            self._scales.add(ability.scale)
        for session in self._current.sessions:
            if (session.session_id, session.version) == (about.response.session_id, row.version):
                data |= {
                    "session_id": session.session_id,
                    "session": session_document(session),
                }
                self._sessions.add(session.session_id)
        event = current_event(self._current.key, self._now_us, data)
        self._sent.append((row.version, event))

    def _last_on(self, row: CurrentConcept) -> Recorded | None:
        """Return the response whose time is the row's `answered_at`."""
        return max(
            (
                recorded
                for recorded in self._current.responses
                if row.concept_id in recorded.response.concept_ids
                and recorded.response.answered_at_us == row.answered_at_us
            ),
            key=lambda recorded: recorded.response.position,
            default=None,
        )

    def _ability_beside(self, row: CurrentConcept, about: Recorded | None) -> CurrentAbility | None:
        """Return an unpublished ability of the row's version, else that of the answer's scale."""
        for ability in self._current.abilities:
            if ability.version == row.version and ability.scale not in self._scales:
                return ability
        scale = None if about is None else about.response.scale
        return next(
            (ability for ability in self._current.abilities if ability.scale == scale), None
        )


def _said(owner: Recorded, row: CurrentConcept) -> bool:
    """Return True if the event of a response has the values of the row."""
    return any(
        (
            change["concept_id"],
            change["mastery"],
            change["attempts"],
            change["mastered"],
            change["last_answered_at"],
        )
        == (
            row.concept_id,
            row.mastery,
            row.attempts,
            row.mastered,
            iso(row.answered_at_us),
        )
        for change in owner.outcome["concepts"]
    )


def _outcome(row: CurrentConcept, about: Recorded) -> ConceptOutcome:
    """Make the outcome of a row; publishing it again changes nothing."""
    predicted = {c["concept_id"]: c["probability_correct"] for c in about.outcome["concepts"]}
    return ConceptOutcome(
        concept_id=row.concept_id,
        mastery=row.mastery,
        previous_mastery=row.mastery,
        mastered=row.mastered,
        transition="none",
        attempts=row.attempts,
        probability_correct=predicted[row.concept_id],
        last_answered_at_us=row.answered_at_us,
        interval=row.interval,
    )


def _ability_document(ability: CurrentAbility) -> dict[str, Any]:
    estimate = AbilityEstimate(ability.theta, ability.standard_error)
    return ability_document(
        ability.scale, AbilityOutcome(estimate, ability.theta, ability.person_fit)
    )
