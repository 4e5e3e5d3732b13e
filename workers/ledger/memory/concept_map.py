"""Concept maps of a ledger in memory."""

from collections.abc import Collection, Iterable

from typing_extensions import override

from workers.common.errors import Unstorable
from workers.ledger.concept_map import ConceptLedger, ConceptMap, Item, Name, Registered
from workers.ledger.memory.tables import MemoryTables


class MemoryConceptMap(MemoryTables, ConceptLedger):
    """Reads and imports concept maps as the SQL functions do."""

    @override
    async def concept_map(self, tenant_id: str, item_ids: Collection[str] = ()) -> ConceptMap:
        known = self._map_of(tenant_id)
        return ConceptMap(
            known.version,
            dict(sorted(known.concepts.items())),
            {
                item_id: known.items[item_id]
                for item_id in sorted(item_ids)
                if item_id in known.items
            },
        )

    @override
    async def items(self, tenant_id: str, after: str = "", limit: int = 500) -> list[Item]:
        known = self._map_of(tenant_id).items
        return [known[item_id] for item_id in sorted(known) if item_id > after][:limit]

    @override
    async def import_concepts(self, tenant_id: str, part: ConceptMap) -> int | None:
        known = self._map_of(tenant_id)
        if known.version != part.version:
            return None
        concepts = known.concepts | part.concepts
        for concept in part.concepts.values():
            needed = {*concept.prerequisites}
            if concept.concept_id in needed or not concepts.keys() >= needed:
                raise Unstorable(f"concept {concept.concept_id!r} has a prerequisite that can't be")
        version = known.version + 1
        self._maps[tenant_id] = ConceptMap(version, concepts, known.items | part.items)
        return version

    @override
    async def registered(self, concepts: Iterable[Name], items: Iterable[Name]) -> Registered:
        return Registered(
            frozenset(
                name for name in concepts if name.id in self._map_of(name.tenant_id).concepts
            ),
            frozenset(name for name in items if name.id in self._map_of(name.tenant_id).items),
        )

    @override
    async def mapped_tenants(self, after: str = "", limit: int = 500) -> list[str]:
        return sorted(tenant_id for tenant_id in self._maps if tenant_id > after)[:limit]

    def _map_of(self, tenant_id: str) -> ConceptMap:
        return self._maps.get(tenant_id) or ConceptMap()
