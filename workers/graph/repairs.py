"""Repairs: what takes away relationships that are wrong, and puts the right ones in their place."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from workers.estimation.learner import LearnerKey
from workers.graph.changes import (
    KINDS,
    AbilityChange,
    AttendanceChange,
    GraphChange,
    MasteryChange,
    PractisedChange,
)
from workers.graph.statements import Merge, Row, merges, statement

_REMOVALS: Final = {
    MasteryChange: "remove_mastery",
    AbilityChange: "remove_ability",
    AttendanceChange: "remove_attendance",
    PractisedChange: "remove_practised",
}


@dataclass(slots=True)
class Repair:
    """Relationships to take away, and to merge afterwards, in one transaction.

    Args:
        removals: as they were read; one whose version is no longer that is left alone, all copies
            of one that has it go.
        merges: as `Graph.merge` takes them: the guard on versions holds.
    """

    removals: list[GraphChange] = field(default_factory=list)
    merges: list[GraphChange] = field(default_factory=list)

    def __len__(self) -> int:
        """How many relationships it is about."""
        return len(self.removals) + len(self.merges)


def repairs(repair: Repair) -> list[Merge]:
    """The statements of a repair: students and sessions are locked first, in the common order."""
    students = {
        (one.tenant_id, one.student_id)
        for one in repair.removals
        if not isinstance(one, PractisedChange)
    }
    sessions = {
        (one.tenant_id, one.session_id)
        for one in repair.removals
        if isinstance(one, AttendanceChange | PractisedChange)
    }
    rows: dict[type[GraphChange], list[Row]] = {kind: [] for kind in KINDS}
    for one in sorted(repair.removals, key=lambda one: one[:3]):
        row, of_kind = _as_read(one), rows[type(one)]
        if row not in of_kind[-1:]:  # copies of a relationship go together
            of_kind.append(row)
    found = [
        Merge(statement("lock_students"), node_rows(students)),
        Merge(statement("lock_sessions"), node_rows(sessions)),
        *(Merge(statement(_REMOVALS[kind]), removed) for kind, removed in rows.items()),
    ]
    return [one for one in found if one.rows] + merges(repair.merges)


def student_removals(keys: Sequence[LearnerKey]) -> list[Merge]:
    """The statements that remove students whom nothing ties to anything."""
    return _node_removals("lock_students", "remove_students", keys)


def session_removals(keys: Sequence[tuple[str, str]]) -> list[Merge]:
    """The statements that remove practice sessions whom nothing ties to anything."""
    return _node_removals("lock_sessions", "remove_sessions", keys)


def erasure(key: LearnerKey, version: int) -> list[Merge]:
    """The statements that remove a student with all that is of a version or older."""
    rows = node_rows([key])
    of_before = [{**row, "version": version} for row in rows]
    return [
        Merge(statement("lock_students"), rows),
        Merge(statement("lock_attended"), rows),
        Merge(statement("erase_sessions"), of_before),
        Merge(statement("erase_outgoing"), of_before),
        Merge(statement("erase_incoming"), of_before),
        Merge(statement("remove_students"), rows),
    ]


def node_rows(keys: Iterable[tuple[str, str]]) -> list[Row]:
    """Rows that name nodes by tenant and id, in the order in which all callers lock."""
    return [{"tenant_id": tenant_id, "id": node_id} for tenant_id, node_id in sorted(set(keys))]


def _node_removals(lock: str, remove: str, keys: Iterable[tuple[str, str]]) -> list[Merge]:
    rows = node_rows(keys)
    return [Merge(statement(lock), rows), Merge(statement(remove), rows)] if rows else []


def _as_read(change: GraphChange) -> Row:
    row: Row = dict(zip(change._fields[:3], change[:3], strict=True))
    if not isinstance(change, PractisedChange):
        # A relationship that another program made may have none.
        row["seen"] = change.version or 0
    return row
