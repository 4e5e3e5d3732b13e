"""The concept map in the graph: names of concepts, and what is a prerequisite of what."""

from collections.abc import Sequence
from typing import NamedTuple

from workers.graph.statements import Merge, Read, statement


class MappedConcept(NamedTuple):
    """A concept of the map."""

    concept_id: str
    name: str | None
    """None where the node has none, or there is no node."""
    prerequisites: tuple[str, ...] = ()
    """In the order of their ids."""


async def mapped(read: Read, tenant_id: str, concept_ids: Sequence[str]) -> list[MappedConcept]:
    """Concepts in the order of the ids, as the graph has them."""
    rows = [{"tenant_id": tenant_id, "id": one} for one in concept_ids]
    if not rows:
        return []
    names = await read(statement("named_concepts"), {"rows": rows})
    pairs = await read(statement("prerequisites_of_concepts"), {"rows": rows})
    name_of = {row["id"]: row["name"] for row in names}
    before: dict[str, list[str]] = {}
    for row in pairs:
        before.setdefault(row["id"], []).append(row["prerequisite_id"])
    return [
        MappedConcept(one, name_of.get(one), tuple(sorted(before.get(one, ()))))
        for one in concept_ids
    ]


def mapping(tenant_id: str, concepts: Sequence[MappedConcept]) -> list[Merge]:
    """The statements that give concepts exactly these names and prerequisites."""
    ids = {one.concept_id for one in concepts}.union(*(one.prerequisites for one in concepts))
    found = [
        Merge(
            statement("merge_concepts"),
            [{"tenant_id": tenant_id, "id": one} for one in sorted(ids)],
        ),
        Merge(
            statement("name_concepts"),
            [{"tenant_id": tenant_id, "id": one.concept_id, "name": one.name} for one in concepts],
        ),
        Merge(
            statement("remove_prerequisites"),
            [
                {"tenant_id": tenant_id, "id": one.concept_id, "keep": list(one.prerequisites)}
                for one in concepts
            ],
        ),
        Merge(
            statement("merge_prerequisites"),
            [
                {"tenant_id": tenant_id, "id": one.concept_id, "prerequisite_id": before}
                for one in concepts
                for before in one.prerequisites
            ],
        ),
    ]
    return [one for one in found if one.rows]
