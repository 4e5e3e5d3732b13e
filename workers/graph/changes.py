"""What events mean for the graph: pure, and the same for every graph.

A change says what a relationship is at a version. A graph keeps the change with the highest
version of each relationship, so the order in which changes arrive and their repeats mean nothing.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Final, NamedTuple

from contracts.mastery import MasteryData


class MasteryChange(NamedTuple):
    """`HAS_MASTERY` of a student and a concept."""

    tenant_id: str
    student_id: str
    concept_id: str
    mastery: float
    """P(known), in [0, 1]."""
    attempts: int
    mastered: bool
    answered_at: datetime
    """Newest answer of the student on the concept, in UTC."""
    version: int


class AbilityChange(NamedTuple):
    """`HAS_ABILITY` of a student and a scale."""

    tenant_id: str
    student_id: str
    scale: str
    theta: float
    """Logits."""
    standard_error: float
    """Logits."""
    version: int


class AttendanceChange(NamedTuple):
    """`ATTENDED` of a student and a practice session: the student's own answers in it."""

    tenant_id: str
    student_id: str
    session_id: str
    responses: int
    correct: int
    version: int


class PractisedChange(NamedTuple):
    """`PRACTISED` of a practice session and a concept; it only ever comes into being."""

    tenant_id: str
    session_id: str
    concept_id: str


GraphChange = MasteryChange | AbilityChange | AttendanceChange | PractisedChange

KINDS: Final = (MasteryChange, AbilityChange, AttendanceChange, PractisedChange)
"""All kinds of changes, in the order in which they are merged."""


def changes_of(events: Iterable[MasteryData]) -> list[GraphChange]:
    """What a batch of events changes, as `newest` gives it."""
    return newest(change for event in events for change in _changes(event))


def newest(changes: Iterable[GraphChange]) -> list[GraphChange]:
    """The change with the highest version of each relationship, in one order for all callers.

    Of two with the same version the first stays. The order is by kind, tenant and the two ids:
    transactions that touch the same nodes then lock them in the same order.
    """
    kept: tuple[dict[tuple[str, str, str], GraphChange], ...] = tuple({} for _ in KINDS)
    for change in changes:
        of_kind = kept[_PLACE[type(change)]]
        # The first three fields of every kind name the relationship.
        key = change[:3]
        known = of_kind.get(key)
        if known is None or _version(known) < _version(change):
            of_kind[key] = change
    return [of_kind[key] for of_kind in kept for key in sorted(of_kind)]


_PLACE: Final = {kind: place for place, kind in enumerate(KINDS)}


def _version(change: GraphChange) -> int:
    return 0 if isinstance(change, PractisedChange) else change.version


def _changes(event: MasteryData) -> Iterator[GraphChange]:
    tenant_id, student_id, concept_id = event.tenant_id, event.student_id, event.concept_id
    ability, version = event.ability, event.version
    yield MasteryChange(
        tenant_id,
        student_id,
        concept_id,
        event.mastery,
        event.attempts,
        event.mastered,
        event.last_answered_at,
        version,
    )
    yield AbilityChange(
        tenant_id, student_id, ability.scale, ability.theta, ability.standard_error, version
    )
    if event.session_id is not None:
        if event.cause in (None, "response"):
            # Else nobody practised: an answer of that session counts in another way.
            yield PractisedChange(tenant_id, event.session_id, concept_id)
        if event.session is not None:
            session = event.session
            yield AttendanceChange(
                tenant_id,
                student_id,
                event.session_id,
                session.responses,
                session.correct,
                version,
            )
