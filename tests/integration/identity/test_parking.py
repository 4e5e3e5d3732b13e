"""Parking of entries: bounded, and retried while Redis is away."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from redis.asyncio import Redis

from contracts.streams import ENGINE_GROUP, RESPONSES, shards
from tests.support.issuer import KeyServer
from workers.admission.parking import Parking
from workers.admission.verdicts import Deferred
from workers.common.errors import KeysUnavailable
from workers.identity.fetching import KeyFetch
from workers.identity.history import KeyHistory
from workers.identity.keyring import KeyRing
from workers.streams.batch import RawBatch, RawEntry
from workers.streams.redis_clock import redis_now_ms
from workers.streams.route import Route

ROUTE = Route.of_responses(shards(0)[0])
WITHIN_S = 60.0


class Fed:
    """Takes what is fed; fails first if told to."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.batches: list[RawBatch] = []

    async def __call__(self, _: Route, batch: RawBatch) -> None:
        if self.errors:
            raise self.errors.pop()
        self.batches.append(batch)

    @property
    def ids(self) -> list[str]:
        return [entry.entry_id for batch in self.batches for entry in batch]


def parking(redis: Redis, issuer: KeyServer, *, capacity: int = 100) -> Parking:
    algorithms = ("ES256",)
    ring = KeyRing(
        client=redis,
        history=KeyHistory(redis, issuer.url, algorithms, 600_000),
        fetch=KeyFetch(issuer.url, algorithms),
        spacing_s=0.02,
    )
    return Parking(
        ring=ring,
        client=redis,
        group=ENGINE_GROUP,
        consumer="me",
        batch_size=2,
        capacity=capacity,
        first_wait_s=0.01,
        longest_wait_s=0.05,
    )


async def taken(redis: Redis, count: int) -> list[Deferred]:
    """Entries that were read and are pending, each as one that has to wait."""
    await redis.xgroup_create(RESPONSES, ENGINE_GROUP, id="0", mkstream=True)
    for number in range(count):
        await redis.xadd(RESPONSES, {"event": str(number)})
    await redis.xreadgroup(ENGINE_GROUP, "me", {RESPONSES: ">"})
    now_ms = await redis_now_ms(redis)
    entries: Any = await redis.xrange(RESPONSES)
    return [Deferred(RawEntry(entry_id.decode(), fields), now_ms) for entry_id, fields in entries]


@asynccontextmanager
async def running(work: Parking, feed: Fed) -> AsyncIterator[None]:
    task = asyncio.create_task(work.run(feed))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def emptied(work: Parking) -> None:
    async with asyncio.timeout(WITHIN_S):
        while len(work):
            await asyncio.sleep(0.01)


async def test_given_waiting_entries_then_they_are_fed_in_batches_after_a_fetch(
    redis: Redis, issuer: KeyServer
) -> None:
    work, feed = parking(redis, issuer), Fed(RuntimeError("a defect of ours"))
    deferred = await taken(redis, 5)
    await work.park(ROUTE, deferred)
    assert work.parked(RESPONSES) == {deferral.entry.entry_id for deferral in deferred}
    assert work.parked("another") == set()
    await redis.xdel(RESPONSES, deferred[0].entry.entry_id)
    await redis.xack(RESPONSES, ENGINE_GROUP, deferred[1].entry.entry_id)
    async with running(work, feed):
        await emptied(work)
    assert feed.ids == [deferral.entry.entry_id for deferral in deferred[2:]]
    assert [entry.deferred_ms for batch in feed.batches for entry in batch] == [
        deferral.since_ms for deferral in deferred[2:]
    ]
    assert max(map(len, feed.batches)) <= 2
    await work.check()


async def test_given_the_group_is_lost_then_what_waits_is_let_go_once_it_is_back(
    redis: Redis, issuer: KeyServer
) -> None:
    work, feed = parking(redis, issuer), Fed()
    await work.park(ROUTE, await taken(redis, 3))
    await redis.flushdb()
    async with running(work, feed):
        while issuer.fetches == 0:
            await asyncio.sleep(0.01)
        assert len(work) == 3
        await redis.set(RESPONSES, "no stream")
        await asyncio.sleep(0.1)
        assert len(work) == 3
        await redis.delete(RESPONSES)
        await redis.xgroup_create(RESPONSES, ENGINE_GROUP, id="0", mkstream=True)
        await emptied(work)
    assert feed.ids == []


async def test_given_no_room_then_nothing_new_is_taken_in_until_there_is(
    redis: Redis, issuer: KeyServer
) -> None:
    work, feed = parking(redis, issuer, capacity=3), Fed()
    new = RawBatch(RESPONSES, [RawEntry("1-1", {})])
    await work.ready(new)
    deferred = await taken(redis, 3)
    with issuer.outage():
        await work.park(ROUTE, deferred)
        async with running(work, feed):
            with pytest.raises(KeysUnavailable, match="3 entries wait"):
                await work.ready(new)
            # What comes back from here has its room.
            await work.ready(RawBatch(RESPONSES, [RawEntry("1-1", {}, deferred_ms=1)]))
            async with asyncio.timeout(WITHIN_S):
                while work._ring.away is None:
                    await asyncio.sleep(0.01)
            with pytest.raises(KeysUnavailable, match="503"):
                await work.check()
            issuer.status = 200
            await emptied(work)
            await work.ready(new)
    assert len(feed.ids) == 3
