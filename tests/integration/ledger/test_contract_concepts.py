"""Concept maps: the same in every ledger."""

import asyncio
from typing import Any

import pytest

from tests.integration.ledger.conftest import OpenLedger
from workers.common.errors import Unstorable
from workers.ledger.concept_map import (
    Concept,
    ConceptLedger,
    ConceptMap,
    Item,
    Name,
    Registered,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

HOSTILE = ("a \"quoted' \\ {,}; drop table mastery.concepts --", "ünï/\u2028 %", "NULL", " ")


def part(*concepts: Concept, version: int = 0, items: tuple[Item, ...] = ()) -> ConceptMap:
    return ConceptMap(
        version,
        {concept.concept_id: concept for concept in concepts},
        {item.item_id: item for item in items},
    )


@pytest.fixture
def maps(open_ledger: OpenLedger) -> ConceptLedger:
    ledger: Any = open_ledger()
    return ledger  # type: ignore[no-any-return]  # every ledger is one of maps too


async def test_given_no_map_when_asked_then_there_is_nothing(
    maps: ConceptLedger, tenant: str
) -> None:
    assert await maps.concept_map(tenant, ["q"]) == ConceptMap()
    assert await maps.registered([Name(tenant, "c")], [Name(tenant, "q")]) == Registered(
        frozenset(), frozenset()
    )
    assert tenant not in await maps.mapped_tenants(limit=10_000)


async def test_given_a_map_when_imported_then_all_of_it_comes_back(
    maps: ConceptLedger, tenant: str
) -> None:
    concepts = [Concept(text, f"name {text}", text) for text in HOSTILE]
    last = Concept("z", "Last", "math", tuple(sorted(HOSTILE)))
    items = tuple(Item(f"q{text}", (text, "z"), text) for text in HOSTILE)

    version = await maps.import_concepts(tenant, part(*concepts, last, items=items))

    assert version is not None
    known = await maps.concept_map(tenant, [item.item_id for item in items[1:]])
    assert known.version == version > 0
    assert known.concepts == {concept.concept_id: concept for concept in (*concepts, last)}
    assert list(known.concepts) == sorted(known.concepts)
    assert known.items == {item.item_id: item for item in items[1:]}
    assert tenant in await maps.mapped_tenants(limit=10_000)


async def test_given_a_map_when_a_part_is_imported_then_it_alone_changes(
    maps: ConceptLedger, tenant: str
) -> None:
    a, b, c = Concept("a", "A", "s"), Concept("b", "B", "s", ("a",)), Concept("c", "C", "s", ("b",))
    item = Item("q", ("a",), "s")
    other = Item("r", ("b",), "s")
    first = await maps.import_concepts(tenant, part(a, b, c, items=(item, other)))
    assert first is not None
    changed = Concept("c", "See", "t", ("a",))
    moved = Item("q", ("b", "c"), "t")

    second = await maps.import_concepts(tenant, part(changed, version=first, items=(moved,)))

    assert second is not None
    assert second > first
    known = await maps.concept_map(tenant, ["q", "r"])
    assert known.concepts == {"a": a, "b": b, "c": changed}
    assert known.items == {"q": moved, "r": other}


async def test_given_another_version_by_now_then_the_import_writes_nothing(
    maps: ConceptLedger, tenant: str
) -> None:
    version = await maps.import_concepts(tenant, part(Concept("a", "A", "s")))

    assert await maps.import_concepts(tenant, part(Concept("b", "B", "s"))) is None
    assert await maps.import_concepts(tenant, part(Concept("b", "B", "s"), version=99)) is None

    known = await maps.concept_map(tenant)
    assert (known.version, list(known.concepts)) == (version, ["a"])
    nobody = f"{tenant}-nobody"
    assert await maps.import_concepts(nobody, part(Concept("a", "A", "s"), version=1)) is None
    assert nobody not in await maps.mapped_tenants(limit=10_000)


@pytest.mark.parametrize("prerequisite", ["a", "nowhere"])
async def test_given_an_impossible_prerequisite_then_the_import_writes_nothing(
    maps: ConceptLedger, tenant: str, prerequisite: str
) -> None:
    with pytest.raises(Unstorable):
        await maps.import_concepts(
            tenant, part(Concept("0", "0", "s"), Concept("a", "A", "s", (prerequisite,)))
        )

    assert await maps.concept_map(tenant) == ConceptMap()


async def test_given_many_importers_at_once_then_each_version_is_written_once(
    open_ledger: OpenLedger, tenant: str
) -> None:
    clients: list[Any] = [open_ledger() for _ in range(4)]

    async def write(number: int) -> int:
        ledger: ConceptLedger = clients[number % len(clients)]
        while True:
            known = await ledger.concept_map(tenant)
            name = Concept("a", str(number), "s")
            if version := await ledger.import_concepts(tenant, part(name, version=known.version)):
                return int(version)

    versions = await asyncio.gather(*map(write, range(8)))

    assert sorted(versions) == list(range(1, 9))
    known = await clients[0].concept_map(tenant)
    assert known.version == 8
    assert known.concepts["a"].name == str(versions.index(8))


async def test_given_names_of_two_tenants_when_looked_up_then_each_has_its_own(
    maps: ConceptLedger, tenant: str
) -> None:
    other = f"{tenant}-2"
    await maps.import_concepts(
        tenant, part(Concept("a", "A", "s"), items=(Item("q", ("a",), "s"),))
    )
    await maps.import_concepts(other, part(Concept("b", "B", "s"), items=(Item("r", ("b",), "s"),)))
    concepts = [Name(t, c) for t in (tenant, other, f"{tenant}-3") for c in "abx"]
    items = [Name(t, q) for t in (other, tenant) for q in "qrx"]

    known = await maps.registered(iter(concepts), iter(items))

    assert known.concepts == {Name(tenant, "a"), Name(other, "b")}
    assert known.items == {Name(tenant, "q"), Name(other, "r")}


async def test_given_tenants_with_maps_when_paged_then_each_comes_once(
    maps: ConceptLedger, tenant: str
) -> None:
    wanted = [f"{tenant}{end}" for end in ("", "-a", "-b", "Ä", "Z")]
    for name in wanted:
        await maps.import_concepts(name, part(Concept("a", "A", "s")))

    tenants: list[str] = []
    while page := await maps.mapped_tenants(tenants[-1] if tenants else "", 2):
        assert len(page) <= 2
        tenants += page

    assert tenants == sorted(set(tenants))
    assert [name for name in tenants if name.startswith(tenant)] == sorted(wanted)


async def test_given_items_when_paged_then_each_of_the_tenant_comes_once(
    maps: ConceptLedger, tenant: str
) -> None:
    items = tuple(Item(f"q{text}", ("a",), text) for text in HOSTILE)
    await maps.import_concepts(tenant, part(Concept("a", "A", "s"), items=items))
    await maps.import_concepts(f"{tenant}x", part(Concept("a", "A", "s"), items=items[:1]))
    expected = sorted(items)
    first = await maps.items(tenant, limit=3)
    assert first == expected[:3]
    assert await maps.items(tenant, first[-1].item_id, limit=3) == expected[3:]
    assert await maps.items(f"{tenant}y") == []
