"""Versions in every graph: the newest stays, in any order, whichever client brings it."""

import asyncio
import random

import pytest

from tests.integration.graph.conftest import Open
from tests.support.graph_contents import assert_holds, everything, history
from tests.support.graph_events import mastery_data
from workers.common.errors import GraphUnavailable
from workers.graph.changes import GraphChange, changes_of
from workers.graph.protocol import Graph

_TRIES = 200


async def merge_until_done(graph: Graph, changes: list[GraphChange]) -> int:
    """Merge as the engine does: where the graph is unavailable, again; returns the tries."""
    for tries in range(1, _TRIES):
        try:
            await graph.merge(changes)
        except GraphUnavailable:
            await asyncio.sleep(random.random() / 100)
        else:
            return tries
    raise AssertionError(f"no merge went through in {_TRIES} tries")


async def test_given_merged_events_when_repeated_then_nothing_changes(graph: Graph) -> None:
    events = history(40)
    await graph.merge(changes_of(events))
    before = await everything(graph)

    await graph.merge(changes_of(events))
    await graph.merge(changes_of(events[:7]))

    assert await everything(graph) == before


async def test_given_a_newer_version_when_an_older_one_comes_then_it_is_ignored(
    graph: Graph,
) -> None:
    newer, older = mastery_data(version=9), mastery_data(version=8)

    await graph.merge(changes_of([newer]))
    await graph.merge(changes_of([older]))

    await assert_holds(graph, [newer])


async def test_given_an_older_version_when_a_newer_one_comes_then_it_is_replaced(
    graph: Graph,
) -> None:
    newer, older = mastery_data(version=9), mastery_data(version=8)

    await graph.merge(changes_of([older]))
    await graph.merge(changes_of([newer]))

    await assert_holds(graph, [newer])


async def test_given_the_same_version_with_other_numbers_then_the_first_stays(
    graph: Graph,
) -> None:
    first = mastery_data(version=5)

    await graph.merge(changes_of([first]))
    await graph.merge(changes_of([mastery_data(version=5, mastery=0.99, attempts=77)]))

    await assert_holds(graph, [first])


async def test_given_versions_in_one_merge_in_any_order_then_the_newest_stays(
    graph: Graph,
) -> None:
    events = [mastery_data(version=v) for v in (5, 9, 3)]
    changes = [change for event in events for change in changes_of([event])]

    await graph.merge(changes)

    await assert_holds(graph, events)


@pytest.mark.parametrize("seed", range(3))
async def test_given_shuffled_batches_with_repeats_then_the_graph_is_as_in_order(
    graph: Graph, seed: int
) -> None:
    draw = random.Random(seed)
    events = history(120, seed)
    arriving = events + draw.choices(events, k=60)
    draw.shuffle(arriving)

    while arriving:
        size = draw.randint(1, 60)
        await graph.merge(changes_of(arriving[:size]))
        del arriving[:size]

    await assert_holds(graph, events)


async def test_given_a_version_beyond_64_bits_then_none_of_the_batch_is_stored(
    graph: Graph,
) -> None:
    fine, too_large = mastery_data("anna"), mastery_data("zoe", version=2**63)

    with pytest.raises(OverflowError):
        await graph.merge(changes_of([fine, too_large]))

    assert await everything(graph) == ([], [])
    await graph.merge(changes_of([fine]))
    await assert_holds(graph, [fine])


async def test_given_clients_merging_the_same_learners_then_none_fails_for_good(
    graph: Graph, open_graph: Open
) -> None:
    several = type(graph).__name__ != "EmbeddedGraph"
    clients = [open_graph() for _ in range(3)] if several else [graph] * 3
    events = history(400, students=12)
    batches = [random.Random(k).sample(events, len(events)) for k in range(3)]
    try:
        await asyncio.gather(
            *(
                merge_until_done(client, changes_of(batch[start : start + 50]))
                for client, batch in zip(clients, batches, strict=True)
                for start in range(0, len(batch), 50)
            )
        )
    finally:
        for client in clients:
            if client is not graph:
                await client.close()

    await assert_holds(graph, events)
