"""The concept map in the graph: names and prerequisites of concepts."""

from collections.abc import Sequence
from typing import NamedTuple

from workers.graph.statements import Merge, Read, statement


class MappedConcept(NamedTuple):
    """A concept of the map."""

    concept_id: str
    name: str | None
    """None if the node has no name, or there is no node."""
    prerequisites: tuple[str, ...] = ()
    """Prerequisites, in the order of their ids."""


async def mapped(read: Read, tenant_id: str, concept_ids: Sequence[str]) -> list[MappedConcept]:
    """Read concepts from the graph, in the order of the ids."""
    rows = [{"tenant_id": tenant_id, "id": concept_id} for concept_id in concept_ids]
    if not rows:
        return []
    names = await read(statement("named_concepts"), {"rows": rows})
    pairs = await read(statement("prerequisites_of_concepts"), {"rows": rows})
    name_of = {row["id"]: row["name"] for row in names}
    before: dict[str, list[str]] = {}
    for row in pairs:
        before.setdefault(row["id"], []).append(row["prerequisite_id"])
    return [
        MappedConcept(
            concept_id, name_of.get(concept_id), tuple(sorted(before.get(concept_id, ())))
        )
        for concept_id in concept_ids
    ]


def mapping(tenant_id: str, concepts: Sequence[MappedConcept]) -> list[Merge]:
    """Write the statements that replace names and prerequisites of concepts."""
    ids = {concept.concept_id for concept in concepts}.union(
        *(concept.prerequisites for concept in concepts)
    )
    statements = [
        Merge(
            statement("merge_concepts"),
            [{"tenant_id": tenant_id, "id": concept_id} for concept_id in sorted(ids)],
        ),
        Merge(
            statement("name_concepts"),
            [{"tenant_id": tenant_id, "id": c.concept_id, "name": c.name} for c in concepts],
        ),
        Merge(
            statement("remove_prerequisites"),
            [
                {"tenant_id": tenant_id, "id": c.concept_id, "keep": list(c.prerequisites)}
                for c in concepts
            ],
        ),
        Merge(
            statement("merge_prerequisites"),
            [
                {"tenant_id": tenant_id, "id": c.concept_id, "prerequisite_id": needed}
                for c in concepts
                for needed in c.prerequisites
            ],
        ),
    ]
    return [merge for merge in statements if merge.rows]
