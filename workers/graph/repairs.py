"""Repairs: remove wrong relationships and merge the right ones."""

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
    identity,
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
    """Relationships to remove and then to merge, in one transaction.

    Args:
        removals: relationships as they were read. One with another version by now stays; all
            copies of one with this version go.
        merges: changes as `Graph.merge` takes them: only newer versions are written.
    """

    removals: list[GraphChange] = field(default_factory=list)
    merges: list[GraphChange] = field(default_factory=list)

    def __len__(self) -> int:
        """Count the relationships."""
        return len(self.removals) + len(self.merges)


def repairs(repair: Repair) -> list[Merge]:
    """Write the statements of a repair: lock students and sessions in the common order first."""
    students = {
        (change.tenant_id, change.student_id)
        for change in repair.removals
        if not isinstance(change, PractisedChange)
    }
    sessions = {
        (change.tenant_id, change.session_id)
        for change in repair.removals
        if isinstance(change, AttendanceChange | PractisedChange)
    }
    rows: dict[type[GraphChange], list[Row]] = {kind: [] for kind in KINDS}
    for change in sorted(repair.removals, key=lambda change: change.key):
        row, of_kind = _as_read(change), rows[type(change)]
        if not of_kind or row != of_kind[-1]:  # copies of a relationship go together
            of_kind.append(row)
    statements = [
        Merge(statement("lock_students"), node_rows(students)),
        Merge(statement("lock_sessions"), node_rows(sessions)),
        *(Merge(statement(_REMOVALS[kind]), removed) for kind, removed in rows.items()),
    ]
    return [merge for merge in statements if merge.rows] + merges(repair.merges)


def student_removals(keys: Sequence[LearnerKey]) -> list[Merge]:
    """Write the statements that remove students without relationships."""
    return _node_removals("lock_students", "remove_students", keys)


def session_removals(keys: Sequence[tuple[str, str]]) -> list[Merge]:
    """Write the statements that remove practice sessions without relationships."""
    return _node_removals("lock_sessions", "remove_sessions", keys)


def erasure(key: LearnerKey, version: int) -> list[Merge]:
    """Write the statements that remove a student and its relationships up to this version."""
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
    """Write rows that name nodes by tenant and id, in the order in which all callers lock."""
    return [{"tenant_id": tenant_id, "id": node_id} for tenant_id, node_id in sorted(set(keys))]


def _node_removals(lock: str, remove: str, keys: Iterable[tuple[str, str]]) -> list[Merge]:
    rows = node_rows(keys)
    return [Merge(statement(lock), rows), Merge(statement(remove), rows)] if rows else []


def _as_read(change: GraphChange) -> Row:
    row: Row = dict(identity(change))
    if not isinstance(change, PractisedChange):
        # A relationship of another program may have no version.
        row["seen"] = change.version or 0
    return row
