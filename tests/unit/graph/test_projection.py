"""The projection: an event that is wrong costs itself only, and says how often it came."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, cast

import pytest

from contracts.mastery import MasteryChanged
from contracts.streams import GRAPH_GROUP, MASTERY, REJECTED, UNLOCKED, shards
from contracts.unlocked import ConceptUnlocked
from tests.support.graph_events import mastery_changed
from workers.common.errors import GraphRefused, GraphTooSlow
from workers.common.retrying import Retrying
from workers.graph.projection import Projection
from workers.graph.projector import Projector
from workers.graph.protocol import Graph
from workers.graph.unlocking import Unlocked
from workers.publishing.publisher import Publisher
from workers.streams.batch import RawBatch, RawEntry
from workers.streams.embedded_redis import EmbeddedRedis
from workers.streams.poison import PoisonIsolation
from workers.streams.route import Route
from workers.streams.tries import Tries


class _Projector:
    """Fails whenever it is given the events of one student."""

    def __init__(self) -> None:
        self.projected: list[str] = []

    async def project(
        self, events: Sequence[MasteryChanged], entries: Sequence[str]
    ) -> list[Unlocked]:
        students = [event.data.student_id for event in events]
        if "poisonous" in students:
            raise ArithmeticError("no such number")
        self.projected += students
        return [
            Unlocked(
                event.data.tenant_id,
                event.data.student_id,
                f"after {event.data.concept_id}",
                event.data.concept_id,
                ("another", event.data.concept_id),
                event.id,
                entry,
                event.data.version,
                event.data.answered_at,
            )
            for event, entry in zip(events, entries, strict=True)
        ]


class _Graph:
    async def prepare(self) -> None:
        return

    async def ping(self) -> None:
        return


async def test_given_an_invalid_and_a_poisonous_event_then_both_are_rejected() -> None:
    redis = EmbeddedRedis()
    client = redis.client()
    first = mastery_changed("student-1").model_copy(
        update={"correlationid": "req-1", "traceparent": f"00-{'1' * 32}-{'2' * 16}-01"}
    )
    texts = [
        first.model_dump_json(),
        "no JSON",
        mastery_changed("poisonous").model_dump_json(),
    ]
    for text in texts:
        await client.xadd(MASTERY, {"event": text})
    await client.xgroup_create(MASTERY, GRAPH_GROUP, id="0")
    # Delivered twice: the second time as another consumer's claim.
    read: Any = await client.xreadgroup(GRAPH_GROUP, "gone", {MASTERY: ">"})
    taken: Any = await client.xautoclaim(MASTERY, GRAPH_GROUP, "here", min_idle_time=0)
    assert read
    projector = _Projector()
    projection = Projection(
        projector=cast("Projector", projector),
        graph=cast("Graph", _Graph()),
        publisher=Publisher(client, GRAPH_GROUP),
        isolation=PoisonIsolation(Tries(client), Retrying(), 2, first_pause_s=0.001),
        retrying=Retrying(),
    )
    entries = [RawEntry(entry_id.decode(), fields) for entry_id, fields in taken[1]]
    deliveries = {entry.entry_id: 2 for entry in entries}
    await projection.submit(
        Route.of_mastery(shards(0)[0]), RawBatch(MASTERY, entries, deliveries=deliveries)
    )

    assert projector.projected == ["student-1"]
    letters: Any = await client.xrange(REJECTED)
    data = [json.loads(fields[b"event"])["data"] for _, fields in letters]
    assert [
        (rejection["code"], rejection["deliveries"], rejection["event"]) for rejection in data
    ] == [
        ("invalid", 2, texts[1]),
        ("poison", 2, texts[2]),
    ]
    assert (await client.xpending(MASTERY, GRAPH_GROUP))["pending"] == 0
    ((_, fields),) = cast("Any", await client.xrange(UNLOCKED))
    told = ConceptUnlocked.model_validate_json(fields[b"event"])
    assert told.subject == "student-1/after fractions.add"
    assert (told.causationid, told.correlationid) == (first.id, "req-1")
    assert told.traceparent == first.traceparent
    assert told.time is not None
    assert entries[0].entry_id.startswith(str(int(told.time.timestamp() * 1000)))
    assert told.data.model_dump() == {
        "tenant_id": "school-7",
        "student_id": "student-1",
        "concept_id": "after fractions.add",
        "unlocked_by": "fractions.add",
        "prerequisites": ["another", "fractions.add"],
        "version": first.data.version,
        "at": first.data.answered_at,
    }
    await redis.close()


class _Unhurried:
    """Projects nothing until it is told how; notes the entries it was given."""

    def __init__(self, answer: Callable[[], Awaitable[None]]) -> None:
        self._answer = answer
        self.projected: list[str] = []

    async def project(self, _: Sequence[MasteryChanged], entries: Sequence[str]) -> list[Unlocked]:
        self.projected += entries
        await self._answer()
        return []


async def _projection(
    redis: EmbeddedRedis, streams: Sequence[str], projector: _Unhurried
) -> Projection:
    """A projection of streams that each hold one delivered entry, 1-1."""
    client = redis.client()
    for stream in streams:
        event = mastery_changed("student-1").model_dump_json()
        await client.xadd(stream, {"event": event}, id="1-1")
        await client.xgroup_create(stream, GRAPH_GROUP, id="0")
        await client.xreadgroup(GRAPH_GROUP, "here", {stream: ">"})
    return Projection(
        projector=cast("Projector", projector),
        graph=cast("Graph", _Graph()),
        publisher=Publisher(client, GRAPH_GROUP),
        isolation=PoisonIsolation(Tries(client), Retrying(), 2, first_pause_s=0.001),
        retrying=Retrying(),
    )


def _batch(stream: str) -> RawBatch:
    event = mastery_changed("student-1").model_dump_json().encode()
    return RawBatch(stream, [RawEntry("1-1", {b"event": event})])


async def test_given_equal_ids_in_two_shards_then_both_are_projected() -> None:
    redis, gate = EmbeddedRedis(), asyncio.Event()

    async def wait() -> None:
        await gate.wait()

    projector = _Unhurried(wait)
    one, other = shards(2)
    projection = await _projection(redis, [one.mastery, other.mastery], projector)

    tasks = [
        asyncio.create_task(projection.submit(Route.of_mastery(shard), _batch(shard.mastery)))
        for shard in (one, other, one)
    ]
    while not projector.projected:
        await asyncio.sleep(0.001)
    assert projection.in_flight(one.mastery) == projection.in_flight(other.mastery) == {"1-1"}
    gate.set()
    await asyncio.gather(*tasks)

    assert sorted(projector.projected) == [f"{one.mastery}/1-1", f"{other.mastery}/1-1"]
    assert not projection.in_flight(one.mastery)
    assert not projection.in_flight(other.mastery)
    await redis.close()


async def test_given_a_graph_that_refuses_then_the_projection_stops() -> None:
    redis = EmbeddedRedis()

    async def refuse() -> None:
        raise GraphRefused("the graph refuses")

    projector = _Unhurried(refuse)
    (shard,) = shards(0)
    projection = await _projection(redis, [shard.mastery], projector)

    await projection.submit(Route.of_mastery(shard), _batch(shard.mastery))
    await projection.submit(Route.of_mastery(shard), _batch(shard.mastery))

    with pytest.raises(GraphRefused):
        await projection.until_failed()
    assert len(projector.projected) == 1
    assert (await redis.client().xpending(shard.mastery, GRAPH_GROUP))["pending"] == 1
    await redis.close()


class _Slow(_Projector):
    """Takes too long for more than two events at once."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[int] = []

    async def project(
        self, events: Sequence[MasteryChanged], entries: Sequence[str]
    ) -> list[Unlocked]:
        self.asked.append(len(events))
        if len(events) > 2:
            raise GraphTooSlow("the transaction timed out")
        return await super().project(events, entries)


async def test_given_a_batch_that_takes_too_long_then_it_is_merged_in_halves() -> None:
    redis, (shard,) = EmbeddedRedis(), shards(0)
    client = redis.client()
    entries = []
    for number in range(1, 6):
        event = mastery_changed(f"student-{number}").model_dump_json()
        await client.xadd(shard.mastery, {"event": event}, id=f"{number}-0")
        entries.append(RawEntry(f"{number}-0", {b"event": event.encode()}))
    await client.xgroup_create(shard.mastery, GRAPH_GROUP, id="0")
    await client.xreadgroup(GRAPH_GROUP, "here", {shard.mastery: ">"})
    projector = _Slow()
    projection = Projection(
        projector=cast("Projector", projector),
        graph=cast("Graph", _Graph()),
        publisher=Publisher(client, GRAPH_GROUP),
        isolation=PoisonIsolation(Tries(client), Retrying(), 2, first_pause_s=0.001),
        retrying=Retrying(),
    )

    await projection.submit(Route.of_mastery(shard), RawBatch(shard.mastery, entries))

    assert projector.asked == [5, 2, 3, 1, 2]
    assert projector.projected == [f"student-{number}" for number in range(1, 6)]
    assert (await client.xpending(shard.mastery, GRAPH_GROUP))["pending"] == 0
    assert await client.xlen(UNLOCKED) == 5
    await redis.close()
