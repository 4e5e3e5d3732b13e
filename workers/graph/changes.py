"""Changes of the graph that result from mastery events. Pure.

A change is the state of a relationship at a version. A graph keeps the change with the highest
version of each relationship, so neither order nor repeats of changes matter.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Final, NamedTuple

from contracts.mastery import MasteryData

Key = tuple[str, str, str]
"""The tenant and the two ids that name a relationship."""


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

    @property
    def key(self) -> Key:
        """Return the ids that name the relationship."""
        return self.tenant_id, self.student_id, self.concept_id


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

    @property
    def key(self) -> Key:
        """Return the ids that name the relationship."""
        return self.tenant_id, self.student_id, self.scale


class AttendanceChange(NamedTuple):
    """`ATTENDED` of a student and a practice session: the student's own answers in it."""

    tenant_id: str
    student_id: str
    session_id: str
    responses: int
    correct: int
    version: int

    @property
    def key(self) -> Key:
        """Return the ids that name the relationship."""
        return self.tenant_id, self.student_id, self.session_id


class PractisedChange(NamedTuple):
    """`PRACTISED` of a practice session and a concept; never changed or removed."""

    tenant_id: str
    session_id: str
    concept_id: str

    @property
    def key(self) -> Key:
        """Return the ids that name the relationship."""
        return self.tenant_id, self.session_id, self.concept_id


GraphChange = MasteryChange | AbilityChange | AttendanceChange | PractisedChange

KINDS: Final = (MasteryChange, AbilityChange, AttendanceChange, PractisedChange)
"""All kinds of changes, in the order in which they are merged."""


def identity(change: GraphChange) -> dict[str, str]:
    """Return the ids of a relationship by field name: the first three fields of every kind."""
    return dict(zip(change._fields, change.key, strict=False))


def changes_of(events: Iterable[MasteryData]) -> list[GraphChange]:
    """List the changes of a batch of events, as `newest` orders them."""
    return newest(change for event in events for change in _changes(event))


def newest(changes: Iterable[GraphChange]) -> list[GraphChange]:
    """Select the change with the highest version of each relationship, in a common order.

    The first of two changes with the same version stays. The order is by kind, tenant and the two
    ids, so that transactions lock common nodes in the same order.
    """
    kept: tuple[dict[Key, GraphChange], ...] = tuple({} for _ in KINDS)
    for change in changes:
        of_kind = kept[_PLACE[type(change)]]
        known = of_kind.get(change.key)
        if known is None or _version(known) < _version(change):
            of_kind[change.key] = change
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
            # A correction or a replay is no new practice.
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
