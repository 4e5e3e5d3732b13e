"""Find the concepts that a batch of events unlocks, and record them in the graph.

A learner is ready for a concept once all its prerequisites are mastered and the concept is not.
Only the graph knows the prerequisites, so it is queried in the transaction that merges the batch,
under the locks on the students. The graph records `UNLOCKED` once per learner and concept, with the
stream entry that caused it. Only the acknowledgement of that entry publishes the unlock: a batch
that is tried again publishes the unlocks of an earlier try, and the same event in another entry
publishes nothing.
"""

from collections.abc import Generator, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from workers.graph.changes import Key
from workers.graph.repairs import node_rows
from workers.graph.scripts import Script
from workers.graph.statements import Merge, Row, statement

_FIELDS: Final = ("tenant_id", "student_id", "concept_id")


class Mastering(NamedTuple):
    """An event that reports a mastered concept, and its entry."""

    tenant_id: str
    student_id: str
    concept_id: str
    event_id: str
    entry: str
    """Stream and id, separated by a slash."""
    version: int
    at: datetime
    """Time of the answer, UTC."""

    @property
    def key(self) -> Key:
        """Return the ids of learner and concept."""
        return self.tenant_id, self.student_id, self.concept_id


class Unlocked(NamedTuple):
    """`UNLOCKED` of a student and a concept; never changed or removed."""

    tenant_id: str
    student_id: str
    concept_id: str
    unlocked_by: str
    """The prerequisite that was mastered last."""
    prerequisites: tuple[str, ...]
    by: str
    """Id of the event that reported it."""
    entry: str
    """The entry of that event: its acknowledgement publishes the unlock."""
    version: int
    """Version of that event."""
    at: datetime
    """Time of the answer of that event, UTC."""

    @property
    def key(self) -> Key:
        """Return the ids that name the relationship."""
        return self.tenant_id, self.student_id, self.concept_id


def projection(merging: Iterable[Merge], mastering: Sequence[Mastering]) -> Script[list[Unlocked]]:
    """Merge changes, record the unlocked concepts and return the unlocks of the given entries."""
    for merge in merging:  # noqa: UP028  # a list has no `send`
        yield merge
    if not mastering:
        return []
    newest = _newest(mastering)
    ready = yield Merge(
        statement("ready_concepts"),
        [dict(zip(_FIELDS, key, strict=True)) for key in newest],
    )
    if rows := _to_note(ready, newest):
        yield Merge(statement("merge_unlocked"), rows)
    return (yield from _owned(mastering))


def restoration(published: Iterable[Unlocked], *, dry_run: bool) -> Script[int]:
    """Record published unlocks that the graph has lost, and return their number."""
    by_key = {unlocked.key: unlocked for unlocked in published}
    if not by_key:
        return 0
    yield Merge(
        statement("lock_students"),
        node_rows((tenant_id, student_id) for tenant_id, student_id, _ in by_key),
    )
    missing = yield Merge(
        statement("restorable_unlocked"),
        [dict(zip(_FIELDS, key, strict=True)) for key in sorted(by_key)],
    )
    keys: list[Key] = sorted(
        (row["tenant_id"], row["student_id"], row["concept_id"]) for row in missing
    )
    if keys and not dry_run:
        rows = [by_key[key]._asdict() for key in keys]
        yield Merge(
            statement("merge_unlocked"),
            [{**row, "prerequisites": list(row["prerequisites"])} for row in rows],
        )
    return len(keys)


def _newest(mastering: Iterable[Mastering]) -> dict[Key, Mastering]:
    """Select the newest event about each learner's concept, in the order of their keys."""
    newest: dict[Key, Mastering] = {}
    for event in mastering:
        known = newest.get(event.key)
        if known is None or known.version < event.version:
            newest[event.key] = event
    return dict(sorted(newest.items()))


def _to_note(ready: Iterable[Row], newest: dict[Key, Mastering]) -> list[Row]:
    """Write a row for each concept that a learner is ready for, with the event that unlocked it."""
    chosen: dict[Key, tuple[Mastering, Row]] = {}
    for row in ready:
        key = (row["tenant_id"], row["student_id"], row["concept_id"])
        by = newest[row["tenant_id"], row["student_id"], row["unlocked_by"]]
        known = chosen.get(key)
        if known is None or _order(known[0]) < _order(by):
            chosen[key] = (by, row)
    return [
        {
            **row,
            "prerequisites": sorted(row["prerequisites"]),
            "by": by.event_id,
            "entry": by.entry,
            "version": by.version,
            "at": by.at.astimezone(UTC),
        }
        for _, (by, row) in sorted(chosen.items(), key=lambda item: item[0])
    ]


def _order(event: Mastering) -> tuple[int, str]:
    return event.version, event.concept_id


def _owned(mastering: Iterable[Mastering]) -> Generator[Merge, list[Row], list[Unlocked]]:
    entries: dict[tuple[str, str], list[str]] = {}
    for event in mastering:
        entries.setdefault((event.tenant_id, event.student_id), []).append(event.entry)
    rows = yield Merge(
        statement("unlocked_by_entries"),
        [
            {"tenant_id": tenant_id, "student_id": student_id, "entries": learner_entries}
            for (tenant_id, student_id), learner_entries in sorted(entries.items())
        ],
    )
    return [unlocked_of(row) for row in rows]


def unlocked_of(row: dict[str, Any]) -> Unlocked:
    """Make an unlock from the row of a relationship."""
    return Unlocked(**{**row, "prerequisites": tuple(row["prerequisites"] or ())})
