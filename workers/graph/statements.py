"""The Cypher files, by name, and the parameters they take."""

from collections.abc import Iterable
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
    newest,
)

Row = dict[str, Any]

_MERGES: Final = {
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
"""One change of each kind, to be merged for a trial and taken back."""


class Merge(NamedTuple):
    """A statement and the rows that it merges, at least one."""

    statement: str
    rows: list[Row]


@cache
def statement(name: str) -> str:
    """The text of ``cypher/NAME.cypher``, one statement."""
    return (resources.files(__package__) / "cypher" / f"{name}.cypher").read_text("utf-8").strip()


@cache
def script(name: str) -> tuple[str, ...]:
    """The statements of ``cypher/NAME.cypher``, which end with semicolons, without comments."""
    lines = [line for line in statement(name).splitlines() if not line.startswith("//")]
    parts = (part.strip() for part in "\n".join(lines).split(";"))
    return tuple(part for part in parts if part)


def merges(changes: Iterable[GraphChange]) -> list[Merge]:
    """The statements that merge changes, in an order that all callers share.

    Within a statement each relationship occurs once: a graph reads all rows before it writes, so
    of two the last would win whatever their versions.
    """
    rows: dict[type[GraphChange], list[Row]] = {kind: [] for kind in KINDS}
    for change in newest(changes):
        rows[type(change)].append(_row(change))
    return [Merge(statement(_MERGES[kind]), found) for kind, found in rows.items() if found]


def _row(change: GraphChange) -> Row:
    row = change._asdict()
    if isinstance(change, MasteryChange):
        # The embedded graph keeps the wall clock of a time and forgets its zone.
        row["answered_at"] = change.answered_at.astimezone(UTC)
    return row
