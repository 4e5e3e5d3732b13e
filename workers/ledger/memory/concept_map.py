"""Concept maps of a ledger in memory: as the SQL functions do it."""

from collections.abc import Collection, Iterable

from workers.common.errors import Unstorable
from workers.ledger.concept_map import ConceptMap, Name, Registered


class MemoryConceptMap:
    """`workers.ledger.concept_map.ConceptLedger` in the memory of one process."""

    def __init__(self) -> None:
        super().__init__()
        self._maps: dict[str, ConceptMap] = {}

    async def concept_map(self, tenant_id: str, item_ids: Collection[str] = ()) -> ConceptMap:
        """See `ConceptLedger.concept_map`."""
        known = self._maps.get(tenant_id, ConceptMap())
        return ConceptMap(
            known.version,
            dict(sorted(known.concepts.items())),
            {name: known.items[name] for name in sorted(item_ids) if name in known.items},
        )

    async def import_concepts(self, tenant_id: str, part: ConceptMap) -> int | None:
        """See `ConceptLedger.import_concepts`."""
        known = self._maps.get(tenant_id, ConceptMap())
        if known.version != part.version:
            return None
        concepts = known.concepts | part.concepts
        for one in part.concepts.values():
            if one.concept_id in one.prerequisites or not concepts.keys() >= {*one.prerequisites}:
                raise Unstorable(f"concept {one.concept_id!r} has a prerequisite that can't be")
        version = known.version + 1
        self._maps[tenant_id] = ConceptMap(version, concepts, known.items | part.items)
        return version

    async def registered(self, concepts: Iterable[Name], items: Iterable[Name]) -> Registered:
        """See `ConceptLedger.registered`."""
        nothing = ConceptMap()
        return Registered(
            frozenset(
                one for one in concepts if one.id in self._maps.get(one.tenant_id, nothing).concepts
            ),
            frozenset(
                one for one in items if one.id in self._maps.get(one.tenant_id, nothing).items
            ),
        )

    async def mapped_tenants(self, after: str = "", limit: int = 500) -> list[str]:
        """See `ConceptLedger.mapped_tenants`."""
        return sorted(tenant_id for tenant_id in self._maps if tenant_id > after)[:limit]
