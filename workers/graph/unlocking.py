"""Which concepts a batch of events unlocks: what is asked of the graph, and what follows.

A learner is ready for a concept when all its prerequisites are mastered and it is not. The graph
alone knows that, so it is asked in the transaction that merges the batch, under the locks on its
students. Being ready is noted there as `UNLOCKED`, once per learner and concept ever, together with
the entry of the stream that brought it about: that entry's acknowledgement publishes it and no
other's, so that a batch which is tried again publishes what an earlier try has noted, and the same
event in another entry publishes nothing.
"""

from collections.abc import Generator, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from workers.graph.changes import GraphChange
from workers.graph.repairs import node_rows
from workers.graph.scripts import Script
from workers.graph.statements import Merge, Row, merges, statement

_Key = tuple[str, str, str]
_KEY: Final = ("tenant_id", "student_id", "concept_id")


class Mastering(NamedTuple):
    """An event that says that a concept is mastered, and the entry that brought it."""

    tenant_id: str
    student_id: str
    concept_id: str
    event_id: str
    entry: str
    """Its stream and id, apart by a slash."""
    version: int
    at: datetime
    """When the answer was given, UTC."""


class Unlocked(NamedTuple):
    """`UNLOCKED` of a student and a concept; it only ever comes into being."""

    tenant_id: str
    student_id: str
    concept_id: str
    unlocked_by: str
    """The prerequisite that completed them."""
    prerequisites: tuple[str, ...]
    by: str
    """Id of the event that completed them."""
    entry: str
    """The entry that brought it: its acknowledgement publishes."""
    version: int
    """That event's."""
    at: datetime
    """When the answer of that event was given, UTC."""


def projection(
    changes: Iterable[GraphChange], mastering: Sequence[Mastering]
) -> Script[list[Unlocked]]:
    """Merge changes, note what they unlock, and tell what the entries of `mastering` own of it."""
    for merge in merges(changes):  # noqa: UP028  # a list can be sent nothing
        yield merge
    if not mastering:
        return []
    newest = _newest(mastering)
    ready = yield Merge(
        statement("ready_concepts"),
        [dict(zip(_KEY, key, strict=True)) for key in newest],
    )
    if rows := _to_note(ready, newest):
        yield Merge(statement("merge_unlocked"), rows)
    return (yield from _owned(mastering))


def restoration(told: Iterable[Unlocked], *, dry_run: bool) -> Script[int]:
    """Note what was told before and is not noted; returns how many."""
    by_key = {one[:3]: one for one in told}
    if not by_key:
        return 0
    yield Merge(statement("lock_students"), node_rows(key[:2] for key in by_key))
    missing = yield Merge(
        statement("restorable_unlocked"),
        [dict(zip(_KEY, key, strict=True)) for key in sorted(by_key)],
    )
    keys: list[_Key] = sorted((row[_KEY[0]], row[_KEY[1]], row[_KEY[2]]) for row in missing)
    if keys and not dry_run:
        rows = [by_key[key]._asdict() for key in keys]
        yield Merge(
            statement("merge_unlocked"),
            [{**row, "prerequisites": list(row["prerequisites"])} for row in rows],
        )
    return len(keys)


def _newest(mastering: Iterable[Mastering]) -> dict[_Key, Mastering]:
    """The newest event about each learner's concept, in the order of their names."""
    newest: dict[_Key, Mastering] = {}
    for one in mastering:
        known = newest.get(one[:3])
        if known is None or known.version < one.version:
            newest[one[:3]] = one
    return dict(sorted(newest.items()))


def _to_note(ready: Iterable[Row], newest: dict[_Key, Mastering]) -> list[Row]:
    """Of each concept that a learner is ready for the event that completed its prerequisites."""
    chosen: dict[_Key, tuple[Mastering, Row]] = {}
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
        for _, (by, row) in sorted(chosen.items(), key=lambda one: one[0])
    ]


def _order(one: Mastering) -> tuple[int, str]:
    return one.version, one.concept_id


def _owned(mastering: Iterable[Mastering]) -> Generator[Merge, list[Row], list[Unlocked]]:
    entries: dict[tuple[str, str], list[str]] = {}
    for one in mastering:
        entries.setdefault(one[:2], []).append(one.entry)
    rows = yield Merge(
        statement("unlocked_by_entries"),
        [
            {"tenant_id": tenant_id, "student_id": student_id, "entries": found}
            for (tenant_id, student_id), found in sorted(entries.items())
        ],
    )
    return [unlocked_of(row) for row in rows]


def unlocked_of(row: dict[str, Any]) -> Unlocked:
    """A relationship as it is read."""
    return Unlocked(**{**row, "prerequisites": tuple(row["prerequisites"] or ())})
