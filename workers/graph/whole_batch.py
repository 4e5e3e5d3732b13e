"""Write a batch of changes as the one row of ``cypher/merge_all.cypher``.

Neo4j's time goes into looking nodes up, and the driver's into packing names and times. So each node
occurs once, relationships name their nodes by place, rows are lists without names, and times are
numbers.
"""

from collections.abc import Iterable
from typing import Any, Final

from workers.common.times import to_us
from workers.graph.changes import (
    KINDS,
    GraphChange,
    MasteryChange,
    newest,
)
from workers.graph.statements import Merge, statement

_TABLES: Final = dict(zip(KINDS, ("mastery", "ability", "attendance", "practised"), strict=True))
"""Name of the list that holds the relationships of a kind."""

_NODES: Final = {
    "student_id": "students",
    "concept_id": "concepts",
    "scale": "scales",
    "session_id": "sessions",
}
"""Name of the list that holds the nodes of a field."""

_US: Final = 1_000_000

Node = tuple[str, str]
"""Tenant and id."""


def whole_batch(changes: Iterable[GraphChange]) -> list[Merge]:
    """Write the statement that merges changes, or none if there are no changes.

    Nodes are sorted, and relationships in the order of `newest`, so that all callers lock in the
    same order.
    """
    kept = newest(changes)
    if not kept:
        return []
    ids: dict[str, set[Node]] = {field: set() for field in _NODES}
    fields = {kind: tuple(field for field in kind._fields if field in _NODES) for kind in KINDS}
    for change in kept:
        tenant_id, *names = change.key
        for field, name in zip(fields[type(change)], names, strict=True):
            ids[field].add((tenant_id, name))
    batch: dict[str, list[list[Any]]] = {}
    places: dict[str, dict[Node, int]] = {}
    for field, nodes in ids.items():
        places[field] = {node: place for place, node in enumerate(sorted(nodes))}
        batch[_NODES[field]] = [[place, *node] for node, place in places[field].items()]
    tables: dict[type[GraphChange], list[list[Any]]] = {kind: [] for kind in KINDS}
    for change in kept:
        tenant_id, start, end = change.key
        start_field, end_field = fields[type(change)]
        tables[type(change)].append(
            [
                places[start_field][tenant_id, start],
                places[end_field][tenant_id, end],
                *_values(change),
            ]
        )
    batch |= {_TABLES[kind]: rows for kind, rows in tables.items()}
    return [Merge(statement("merge_all"), [batch])]


def _values(change: GraphChange) -> tuple[Any, ...]:
    """Return the properties of a relationship, in the order of the statement."""
    if isinstance(change, MasteryChange):
        seconds, microseconds = divmod(to_us(change.answered_at), _US)
        return (
            change.mastery,
            change.attempts,
            change.mastered,
            seconds,
            microseconds * 1_000,
            change.version,
        )
    return tuple(change[3:])
