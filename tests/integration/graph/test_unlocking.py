"""Unlocking by a batch of events and the concept map, on every graph."""

import asyncio
import random
from collections.abc import Iterable

import pytest

from contracts.mastery import MasteryChanged
from tests.integration.graph.conftest import Open
from tests.support.graph_events import mastery_changed
from workers.common.errors import GraphUnavailable
from workers.graph.concept_map import MappedConcept
from workers.graph.projector import Projector
from workers.graph.protocol import Graph
from workers.graph.unlocking import Unlocked

TENANT = "school-7"
MAP = [
    MappedConcept("a", "A"),
    MappedConcept("b", "B"),
    MappedConcept("c", "C", ("a", "b")),
    MappedConcept("d", "D", ("a",)),
    MappedConcept("e", "E", ("c", "d")),
]

Arrived = tuple[MasteryChanged, str]


def mastered(
    concept_id: str, version: int, student_id: str = "s", *, yes: bool = True
) -> MasteryChanged:
    return mastery_changed(
        student_id, concept_id=concept_id, version=version, mastered=yes, session_id=None
    )


async def project(graph: Graph, *arrived: Arrived) -> list[Unlocked]:
    """Project a batch; where the graph is unavailable, again, as the engine does."""
    while True:
        try:
            return await Projector(graph).project(
                [event for event, _ in arrived], [entry for _, entry in arrived]
            )
        except GraphUnavailable:
            await asyncio.sleep(random.random() / 100)


def told(unlocked: Iterable[Unlocked]) -> list[tuple[str, str, str, str]]:
    return [
        (concept.student_id, concept.concept_id, concept.unlocked_by, concept.entry)
        for concept in unlocked
    ]


@pytest.fixture
async def mapped(graph: Graph) -> Graph:
    await graph.merge_map(TENANT, MAP)
    return graph


async def test_given_a_map_when_merged_twice_then_it_is_exactly_what_was_given(
    graph: Graph,
) -> None:
    hostile = MappedConcept("'}) DETACH DELETE n //", "na\\me \"'", ("a", "ünï 🙂"))
    await graph.merge_map(TENANT, [*MAP, MappedConcept("ünï 🙂", "u"), hostile])
    await graph.merge_map("other", [MappedConcept("c", "of another", ("d",))])
    ids = [concept.concept_id for concept in MAP]

    assert await graph.mapped(TENANT, ids) == MAP
    assert await graph.mapped(TENANT, [hostile.concept_id]) == [hostile]
    changed = [MappedConcept("c", "See", ("b", "d")), MappedConcept("e", "E")]
    await graph.merge_map(TENANT, changed)
    await graph.merge_map(TENANT, changed)

    assert await graph.mapped(TENANT, ["e", "c", "nobody", "d"]) == [
        changed[1],
        changed[0],
        MappedConcept("nobody", None),
        MAP[3],
    ]
    assert await graph.mapped("other", ["c"]) == [MappedConcept("c", "of another", ("d",))]
    assert await graph.mapped("other", ["d"]) == [MappedConcept("d", None)]
    assert await graph.mapped(TENANT, []) == []


async def test_given_the_last_prerequisite_mastered_then_the_concept_is_unlocked(
    mapped: Graph,
) -> None:
    first, last = mastered("a", 3), mastered("b", 5)

    assert told(await project(mapped, (first, "m/1-0"))) == [("s", "d", "a", "m/1-0")]
    unlocked_concepts = await project(mapped, (last, "m/2-0"))

    unlocked = Unlocked(
        TENANT, "s", "c", "b", ("a", "b"), last.id, "m/2-0", 5, last.data.answered_at
    )
    assert unlocked_concepts == [unlocked]
    (learner,) = await mapped.stored()
    assert [concept.concept_id for concept in learner.unlocked] == ["c", "d"]
    assert learner.unlocked[0] == unlocked


async def test_given_all_in_one_batch_then_the_newest_event_completes_them(mapped: Graph) -> None:
    unlocked = await project(
        mapped,
        (mastered("b", 9), "m/2-0"),
        (mastered("a", 4, yes=False), "m/0-0"),
        (mastered("a", 8), "m/1-0"),
        (mastered("a", 6), "m/3-0"),
    )

    assert told(unlocked) == [("s", "c", "b", "m/2-0"), ("s", "d", "a", "m/1-0")]


@pytest.mark.parametrize(
    "events",
    [
        [mastered("a", 1), mastered("b", 2, yes=False)],
        [mastered("a", 1), mastered("b", 2), mastered("b", 3, yes=False)],
        [mastered("a", 1), mastered("b", 2), mastered("c", 2)],
        [mastered("a", 1), mastered("b", 2, student_id="another")],
    ],
    ids=["not mastered", "lapsed in the same batch", "mastered already", "of another student"],
)
async def test_given_something_missing_then_the_concept_stays_locked(
    mapped: Graph, events: list[MasteryChanged]
) -> None:
    unlocked = await project(mapped, *((event, f"m/{n}-0") for n, event in enumerate(events)))

    assert "c" not in {concept.concept_id for concept in unlocked}


async def test_given_a_tenant_without_that_map_then_nothing_is_unlocked(mapped: Graph) -> None:
    await mapped.merge_map("t2", [MappedConcept("x", "X", ("a",))])

    unlocked = await project(
        mapped, (mastery_changed("s", concept_id="a", tenant_id="t3"), "m/1-0")
    )

    assert unlocked == []


async def test_given_a_merged_batch_retried_in_any_company_then_events_are_equal(
    mapped: Graph,
) -> None:
    await project(mapped, (mastered("a", 3), "m/1-0"))
    last = (mastered("b", 5), "m/2-0")
    first = await project(mapped, last)
    lapsed = (mastered("b", 7, yes=False), "m/3-0")
    await mapped.merge_map(TENANT, [MappedConcept("c", "C")])

    again = await project(mapped, lapsed, last, (mastered("a", 9), "m/4-0"))

    assert first == again
    assert len(first) == 1


async def test_given_the_same_event_in_another_entry_then_nothing_unlocks_again(
    mapped: Graph,
) -> None:
    last = mastered("a", 5)
    assert told(await project(mapped, (last, "m/2-0"), (last, "m/3-0"))) == [
        ("s", "d", "a", "m/2-0")
    ]

    assert await project(mapped, (last, "m/4-0")) == []
    assert await project(mapped, (mastered("a", 8), "m/5-0")) == []


async def test_given_a_lapse_and_a_second_mastering_then_it_is_unlocked_once(
    mapped: Graph,
) -> None:
    await project(mapped, (mastered("a", 1), "m/1-0"))
    await project(mapped, (mastered("a", 2, yes=False), "m/2-0"))

    assert await project(mapped, (mastered("a", 3), "m/3-0")) == []


async def test_given_events_without_entries_then_nothing_is_noted(mapped: Graph) -> None:
    assert await Projector(mapped).project([mastered("a", 1)]) == []
    (learner,) = await mapped.stored()
    assert learner.unlocked == []


async def test_given_an_unlocked_learner_when_erased_then_what_is_of_before_goes(
    mapped: Graph,
) -> None:
    await project(mapped, (mastered("a", 5), "m/1-0"))
    (learner,) = await mapped.stored()

    await mapped.erase(learner.key, 4)
    assert [concept.concept_id for concept in (await mapped.stored())[0].unlocked] == ["d"]
    await mapped.erase(learner.key, 5)

    assert not await mapped.knows(learner.key)
    assert await mapped.mapped(TENANT, ["d"]) == [MAP[3]]


async def test_given_past_unlocks_restored_to_a_lost_graph_then_none_is_repeated(
    mapped: Graph,
) -> None:
    unlocked = Unlocked(
        TENANT, "s", "d", "a", ("a",), "id", "", 3, mastered("a", 3).data.answered_at
    )
    others = [unlocked._replace(student_id="nobody"), unlocked._replace(concept_id="nothing")]
    await Projector(mapped).project([mastered("a", 2, yes=False)])

    assert await mapped.restore([]) == 0
    assert await mapped.restore([unlocked, *others], dry_run=True) == 1
    assert await mapped.restore([unlocked, *others]) == 1
    assert await mapped.restore([unlocked, *others]) == 0

    assert await project(mapped, (mastered("a", 5), "m/9-0")) == []
    (learner,) = await mapped.stored()
    assert learner.unlocked == [unlocked]


async def test_given_shuffled_concurrent_batches_then_one_entry_owns_each_unlock(
    mapped: Graph, open_graph: Open
) -> None:
    draw = random.Random(7)
    students = [f"s{n}" for n in range(8)]
    arrived = [
        (mastered(concept, version, student), f"m/{student}-{version}")
        for student in students
        for version, concept in enumerate(("a", "b", "a", "b"), 1)
    ]
    arrived += [(event, f"{entry}-again") for event, entry in arrived]
    several = type(mapped).__name__ != "EmbeddedGraph"
    clients = [open_graph() for _ in range(3)] if several else [mapped] * 3
    unlocked: list[Unlocked] = []

    async def work(client: Graph) -> None:
        mine = draw.sample(arrived, len(arrived))
        for start in range(0, len(mine), 10):
            unlocked.extend(await project(client, *mine[start : start + 10]))

    try:
        await asyncio.gather(*map(work, clients))
    finally:
        for client in clients:
            if client is not mapped:
                await client.close()

    # Each try tells what its entries own: which entry that is never changes.
    owners = {(concept.student_id, concept.concept_id): concept for concept in unlocked}
    assert set(owners) == {(student, concept) for student in students for concept in "cd"}
    assert all(owners[concept.student_id, concept.concept_id] == concept for concept in unlocked)
    noted = [concept for learner in await mapped.stored() for concept in learner.unlocked]
    assert sorted(noted) == sorted(owners.values())
