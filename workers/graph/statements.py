"""The Cypher files by name, and the parameters they take."""

from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from typing import Any, Final, NamedTuple

from workers.graph.changes import (
    KINDS,
    AbilityChange,
    AttendanceChange,
    GraphChange,
    MasteryChange,
    PractisedChange,
    identity,
    newest,
)

Row = dict[str, Any]

Read = Callable[[str, dict[str, Any]], Awaitable[list[Row]]]
"""Runs a statement with parameters and returns its rows; times come as aware UTC."""

_NODES: Final = {
    "student_id": "merge_students",
    "concept_id": "merge_concepts",
    "scale": "merge_scales",
    "session_id": "merge_sessions",
}
"""Name of the statement that merges the nodes of a field."""

_RELATIONSHIPS: Final = {
    MasteryChange: "merge_mastery",
    AbilityChange: "merge_ability",
    AttendanceChange: "merge_attendance",
    PractisedChange: "merge_practised",
}

_NOBODY: Final = "mastery-check"

PROBE: Final[tuple[GraphChange, ...]] = (
    MasteryChange(_NOBODY, _NOBODY, _NOBODY, 0.5, 1, False, datetime.fromtimestamp(0, UTC), 1),
    AbilityChange(_NOBODY, _NOBODY, _NOBODY, 0.0, 1.0, 1),
    AttendanceChange(_NOBODY, _NOBODY, _NOBODY, 1, 1, 1),
    PractisedChange(_NOBODY, _NOBODY, _NOBODY),
)
"""One change of each kind, for a trial merge that is rolled back."""


class Merge(NamedTuple):
    """A statement and its rows; a schema statement has none."""

    statement: str
    rows: list[Row]


@cache
def statement(name: str) -> str:
    """Read the one statement of ``cypher/NAME.cypher``."""
    return (resources.files(__package__) / "cypher" / f"{name}.cypher").read_text("utf-8").strip()


@cache
def script(name: str) -> tuple[str, ...]:
    """Read the statements of ``cypher/NAME.cypher``, split at semicolons, without comments."""
    lines = [line for line in statement(name).splitlines() if not line.startswith("//")]
    parts = (part.strip() for part in "\n".join(lines).split(";"))
    return tuple(part for part in parts if part)


def merges(changes: Iterable[GraphChange]) -> list[Merge]:
    """Write the statements that merge changes: nodes first, in an order that all callers share.

    Each node or relationship occurs once in a statement. A graph may read all rows before it
    writes, so that the last of two versions would win, and `ladybug` 0.22 loses rows if a node it
    has just made occurs again.
    """
    nodes: dict[str, set[tuple[str, str]]] = {name: set() for name in _NODES}
    rows: dict[type[GraphChange], list[Row]] = {kind: [] for kind in KINDS}
    for change in newest(changes):
        for field, node_id in identity(change).items():
            if field in nodes:
                nodes[field].add((change.tenant_id, node_id))
        rows[type(change)].append(_row(change))
    statements = [
        Merge(
            statement(_NODES[field]),
            [{"tenant_id": tenant_id, "id": node_id} for tenant_id, node_id in sorted(ids)],
        )
        for field, ids in nodes.items()
    ]
    statements += [
        Merge(statement(_RELATIONSHIPS[kind]), of_kind) for kind, of_kind in rows.items()
    ]
    return [merge for merge in statements if merge.rows]


def _row(change: GraphChange) -> Row:
    row = change._asdict()
    if isinstance(change, MasteryChange):
        # The embedded graph keeps the wall clock of a time and forgets its zone.
        row["answered_at"] = change.answered_at.astimezone(UTC)
    return row
