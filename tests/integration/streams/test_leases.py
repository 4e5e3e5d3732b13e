"""Leases on a real Redis: each stream has one reader, and every live worker its share."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Final

import pytest
from redis.asyncio import Redis

from contracts.streams import RESPONSES, other_shards, shards
from tests.support.lease_holders import LeaseHolder, holding
from tests.support.stream_reader import until
from workers.common.errors import StreamRefused
from workers.streams.leases.lease import Lease, lease_key
from workers.streams.leases.roster import ROSTER_KEY, Roster

_CRASHED_S: Final = 5.0
_AT_ONCE_S: Final = 1.0
_SOON_S: Final = 10.0

Join = Callable[..., Awaitable[LeaseHolder]]


@pytest.fixture
async def join(redis: Redis) -> AsyncIterator[Join]:
    async with AsyncExitStack() as stack:

        async def join_(name: str, shard_count: int = 0) -> LeaseHolder:
            return await stack.enter_async_context(holding(LeaseHolder(redis, name, shard_count)))

        yield join_


async def _even(*holders: LeaseHolder, streams: int) -> None:
    """Wait until the streams are spread evenly, and each has one reader."""

    def even() -> bool:
        counts = [len(holder.reading) for holder in holders]
        read = [stream for holder in holders for stream in holder.reading]
        return sum(counts) == len(set(read)) == streams and max(counts) - min(counts) <= 1

    await until(even, _SOON_S)


async def test_given_two_workers_on_one_stream_then_one_reads_one_stands_by(
    join: Join,
) -> None:
    first, second = await join("a"), await join("b")
    await until(lambda: first.reading == [RESPONSES])
    await asyncio.sleep(4)
    assert (first.reading, second.reading) == ([RESPONSES], [])
    assert second.readers.others == [RESPONSES]
    first.readers.check()
    second.readers.check()
    assert first.taken == [RESPONSES]
    assert (first.counts[-1], second.counts[-1]) == (1, 0)


async def test_given_the_holder_crashes_then_another_reads_within_five_seconds(
    join: Join,
) -> None:
    first, second = await join("a"), await join("b")
    await until(lambda: first.reading == [RESPONSES])
    await first.crash()
    await until(lambda: second.reading == [RESPONSES], _CRASHED_S)


async def test_given_the_holder_stops_in_order_then_another_reads_at_once(join: Join) -> None:
    first, second = await join("a"), await join("b")
    await until(lambda: first.reading == [RESPONSES])
    began = time.monotonic()
    await first.readers.stop()
    await until(lambda: second.reading == [RESPONSES], _AT_ONCE_S)
    assert time.monotonic() - began < _AT_ONCE_S
    assert (first.finished, first.let_go) == ([RESPONSES], [RESPONSES])


async def test_given_a_batch_in_flight_when_handed_over_then_the_other_waits(
    join: Join,
) -> None:
    first, second = await join("a"), await join("b")
    await until(lambda: first.reading == [RESPONSES])
    first.at_work.clear()
    stopping = asyncio.create_task(first.readers.stop())
    await asyncio.sleep(5)
    assert (first.reading, second.reading) == ([], [])
    first.at_work.set()
    await stopping
    await until(lambda: second.reading == [RESPONSES], _AT_ONCE_S)


async def test_given_a_crashed_worker_of_this_name_then_its_lease_goes_on(
    join: Join,
) -> None:
    first = await join("a")
    await until(lambda: first.reading == [RESPONSES])
    await first.crash()
    again = await join("a")
    await until(lambda: again.reading == [RESPONSES], _AT_ONCE_S)


async def test_given_six_shards_when_workers_come_and_go_then_shares_stay_even(
    join: Join,
) -> None:
    first, second = await join("a", 6), await join("b", 6)
    await _even(first, second, streams=6)
    third = await join("c", 6)
    await _even(first, second, third, streams=6)
    fourth = await join("d", 6)
    await _even(first, second, third, fourth, streams=6)
    await second.readers.stop()
    await _even(first, third, fourth, streams=6)
    await first.crash()
    await _even(third, fourth, streams=6)


async def test_given_a_lease_taken_by_force_then_the_old_reader_stops(
    join: Join, redis: Redis
) -> None:
    first = await join("a")
    await until(lambda: first.reading == [RESPONSES])
    await redis.set(lease_key(RESPONSES), "thief", px=60_000)
    await until(lambda: first.reading == [], 3)
    first.readers.check()
    await asyncio.sleep(1)
    assert first.reading == []
    await redis.delete(lease_key(RESPONSES))
    await until(lambda: first.reading == [RESPONSES], _AT_ONCE_S)


async def test_given_redis_lost_all_then_the_streams_are_read_again(
    join: Join, redis: Redis
) -> None:
    first, second = await join("a", 2), await join("b", 2)
    await _even(first, second, streams=2)
    await redis.flushdb()
    await until(lambda: len(first.taken) + len(second.taken) > 3)
    await _even(first, second, streams=2)


async def test_given_workers_of_two_counts_then_the_streams_of_both_have_readers(
    join: Join,
) -> None:
    first, second = await join("a", 0), await join("b", 2)
    await _even(first, second, streams=3)
    await first.readers.stop()
    await until(lambda: set(second.reading) == {one.responses for one in shards(2)}, _SOON_S)


async def test_given_old_streams_then_they_are_read_until_they_are_drained(join: Join) -> None:
    only = await join("a", 2)
    old = other_shards(2)[:2]
    only.old = old
    await until(lambda: len(only.reading) == 4, _SOON_S)
    only.old = ()
    await until(lambda: set(only.reading) == {one.responses for one in shards(2)}, _SOON_S)
    assert set(only.finished) == {one.responses for one in old}


async def test_given_live_workers_then_the_oldest_is_first_and_dead_ones_gone(
    redis: Redis,
) -> None:
    old, new = Roster(redis, "z", 0, silence_s=0.5), Roster(redis, "a", 4, silence_s=0.5)
    await old.beat()
    await asyncio.sleep(0.01)
    await new.beat()
    assert [(one.name, one.shard_count) for one in await old.beat()] == [("z", 0), ("a", 4)]
    await asyncio.sleep(0.6)
    assert [one.name for one in await new.beat()] == ["a"]
    # It was away for a moment only.
    assert [one.name for one in await old.beat()] == ["z", "a"]
    await redis.hset(ROSTER_KEY, "b", "1 2 0")
    await new.leave()
    assert [one.name for one in await old.beat()] == ["z"]
    assert await redis.hkeys(ROSTER_KEY) == [b"z"]


async def test_given_a_key_of_another_type_then_the_roster_is_refused(
    redis: Redis,
) -> None:
    await redis.set(ROSTER_KEY, "x")
    with pytest.raises(StreamRefused, match="WRONGTYPE"):
        await Roster(redis, "a", 0).beat()


async def test_given_another_holder_then_a_lease_is_neither_taken_nor_released(
    redis: Redis,
) -> None:
    one, other = Lease(redis, RESPONSES, "a"), Lease(redis, RESPONSES, "b")
    assert await one.acquire()
    assert not await other.acquire()
    await other.release()
    assert not await other.acquire()
    assert not one.expired
    await one.release()
    assert await other.acquire()
    assert await redis.pttl(lease_key(RESPONSES)) > 2_000
