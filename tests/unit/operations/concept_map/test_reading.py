"""A whole map is of one version, whatever is imported meanwhile."""

from typing_extensions import override

from workers.ledger.concept_map import Concept, ConceptMap, Item
from workers.ledger.memory.ledger import MemoryLedger
from workers.operations.concept_map.reading import whole_map

ITEMS = {f"q{n}": Item(f"q{n}", ("a",), "s") for n in range(5)}


class _Interrupted(MemoryLedger):
    """A ledger into which an item is imported while the first page is read."""

    interruptions = 1

    @override
    async def items(self, tenant_id: str, after: str = "", limit: int = 500) -> list[Item]:
        page = await super().items(tenant_id, after, limit)
        if self.interruptions:
            self.interruptions -= 1
            await self.import_concepts(
                tenant_id, ConceptMap(1, {}, {"a0": Item("a0", ("a",), "s")})
            )
        return page


async def test_given_an_import_while_reading_then_the_map_is_read_again() -> None:
    ledger = _Interrupted()
    concepts = {"a": Concept("a", "A", "s")}
    await ledger.import_concepts("t", ConceptMap(0, concepts, ITEMS))
    known = await whole_map(ledger, "t", page=2)
    assert known.version == 2
    assert list(known.items) == ["a0", *ITEMS]
    assert known.concepts == concepts
