"""Concept maps over their SQL functions, whatever carries the call."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable
from typing import Any

from workers.ledger.concept_map import Concept, ConceptMap, Item, Name, Registered
from workers.ledger.sql.answers import as_promised
from workers.ledger.sql.arrays import texts


class SqlConceptMap(ABC):
    """`workers.ledger.concept_map.ConceptLedger` on the functions of the migrations."""

    @abstractmethod
    async def _call(self, function: str, document: dict[str, Any]) -> Any:
        """Call a function with a document; raise `LedgerUnavailable` and its like."""

    async def concept_map(self, tenant_id: str, item_ids: Collection[str] = ()) -> ConceptMap:
        """See `ConceptLedger.concept_map`."""
        request = {"tenant": tenant_id, "items": texts(item_ids)}
        answer = await self._call("mastery_concept_map", request)
        with as_promised("mastery_concept_map"):
            concepts = [
                Concept(row[0], row[1], row[2], tuple(row[3])) for row in answer["concepts"]
            ]
            items = [Item(item_id, tuple(ids), scale) for item_id, ids, scale in answer["items"]]
            return ConceptMap(
                int(answer["version"]),
                {one.concept_id: one for one in concepts},
                {one.item_id: one for one in items},
            )

    async def import_concepts(self, tenant_id: str, part: ConceptMap) -> int | None:
        """See `ConceptLedger.import_concepts`."""
        concepts, items = part.concepts.values(), part.items.values()
        pairs = [(one.concept_id, other) for one in concepts for other in one.prerequisites]
        request = {
            "tenant": tenant_id,
            "version": part.version,
            "c_id": texts(one.concept_id for one in concepts),
            "c_name": texts(one.name for one in concepts),
            "c_scale": texts(one.scale for one in concepts),
            "p_of": texts(of for of, _ in pairs),
            "p_id": texts(other for _, other in pairs),
            "i_id": texts(one.item_id for one in items),
            "i_concepts": texts(texts(one.concept_ids) for one in items),
            "i_scale": texts(one.scale for one in items),
        }
        answer = await self._call("mastery_import_concepts", request)
        with as_promised("mastery_import_concepts"):
            version = answer["version"]
            return None if version is None else int(version)

    async def registered(self, concepts: Iterable[Name], items: Iterable[Name]) -> Registered:
        """See `ConceptLedger.registered`."""
        concepts, items = list(concepts), list(items)
        request = {
            "c_tenant": texts(one.tenant_id for one in concepts),
            "c_id": texts(one.id for one in concepts),
            "i_tenant": texts(one.tenant_id for one in items),
            "i_id": texts(one.id for one in items),
        }
        answer = await self._call("mastery_registered", request)
        with as_promised("mastery_registered"):
            return Registered(
                frozenset(concepts[place - 1] for place in answer["concepts"]),
                frozenset(items[place - 1] for place in answer["items"]),
            )

    async def mapped_tenants(self, after: str = "", limit: int = 500) -> list[str]:
        """See `ConceptLedger.mapped_tenants`."""
        request = {"after": after, "limit": limit}
        answer = await self._call("mastery_mapped_tenants", request)
        with as_promised("mastery_mapped_tenants"):
            return [str(tenant_id) for tenant_id in answer]
