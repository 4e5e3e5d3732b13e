"""Concept maps over their SQL functions."""

from collections.abc import Collection, Iterable

from typing_extensions import override

from workers.ledger.concept_map import (
    Concept,
    ConceptLedger,
    ConceptMap,
    Item,
    Name,
    Registered,
)
from workers.ledger.sql.answers import as_promised
from workers.ledger.sql.arrays import texts
from workers.ledger.sql.functions import SqlFunctions


class SqlConceptMap(SqlFunctions, ConceptLedger):
    """Calls the functions of concept maps."""

    @override
    async def concept_map(self, tenant_id: str, item_ids: Collection[str] = ()) -> ConceptMap:
        request = {"tenant": tenant_id, "items": texts(item_ids)}
        answer = await self._call("mastery_concept_map", request)
        with as_promised("mastery_concept_map"):
            concepts = [
                Concept(concept_id, name, scale, tuple(prerequisites))
                for concept_id, name, scale, prerequisites in answer["concepts"]
            ]
            items = [Item(item_id, tuple(ids), scale) for item_id, ids, scale in answer["items"]]
            return ConceptMap(
                int(answer["version"]),
                {concept.concept_id: concept for concept in concepts},
                {item.item_id: item for item in items},
            )

    @override
    async def items(self, tenant_id: str, after: str = "", limit: int = 500) -> list[Item]:
        request = {"tenant": tenant_id, "after": after, "limit": limit}
        answer = await self._call("mastery_items", request)
        with as_promised("mastery_items"):
            return [Item(item_id, tuple(ids), scale) for item_id, ids, scale in answer]

    @override
    async def import_concepts(self, tenant_id: str, part: ConceptMap) -> int | None:
        concepts, items = part.concepts.values(), part.items.values()
        pairs = [(c.concept_id, needed) for c in concepts for needed in c.prerequisites]
        request = {
            "tenant": tenant_id,
            "version": part.version,
            "c_id": texts(concept.concept_id for concept in concepts),
            "c_name": texts(concept.name for concept in concepts),
            "c_scale": texts(concept.scale for concept in concepts),
            "p_of": texts(concept_id for concept_id, _ in pairs),
            "p_id": texts(needed for _, needed in pairs),
            "i_id": texts(item.item_id for item in items),
            "i_concepts": texts(texts(item.concept_ids) for item in items),
            "i_scale": texts(item.scale for item in items),
        }
        answer = await self._call("mastery_import_concepts", request)
        with as_promised("mastery_import_concepts"):
            version = answer["version"]
            return None if version is None else int(version)

    @override
    async def registered(self, concepts: Iterable[Name], items: Iterable[Name]) -> Registered:
        concepts, items = list(concepts), list(items)
        request = {
            "c_tenant": texts(name.tenant_id for name in concepts),
            "c_id": texts(name.id for name in concepts),
            "i_tenant": texts(name.tenant_id for name in items),
            "i_id": texts(name.id for name in items),
        }
        answer = await self._call("mastery_registered", request)
        with as_promised("mastery_registered"):
            return Registered(
                frozenset(concepts[place - 1] for place in answer["concepts"]),
                frozenset(items[place - 1] for place in answer["items"]),
            )

    @override
    async def mapped_tenants(self, after: str = "", limit: int = 500) -> list[str]:
        request = {"after": after, "limit": limit}
        answer = await self._call("mastery_mapped_tenants", request)
        with as_promised("mastery_mapped_tenants"):
            return [str(tenant_id) for tenant_id in answer]
