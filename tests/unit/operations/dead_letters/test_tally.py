"""Counting dead letters by code, while some come and some are purged."""

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from contracts.rejections import RejectionCode
from contracts.streams import REJECTED, shards
from tests.support.dead_letters import reject
from tests.support.http_callers import store
from workers.operations.dead_letters import tally
from workers.operations.dead_letters.tally import UNKNOWN, DeadLetterTally, Waiting

_POISON, _INVALID = RejectionCode.POISON, RejectionCode.INVALID


@pytest.fixture
async def redis() -> AsyncIterator[Redis]:
    async with store() as client:
        yield client


async def test_given_letters_when_counted_again_then_new_ones_are_added(redis: Redis) -> None:
    counter = DeadLetterTally(redis, [REJECTED])
    assert await counter.count() == Waiting(0, 0, {})

    await reject(redis, 250, code=_INVALID)
    await redis.xadd(REJECTED, {"event": "no rejection of ours"})
    assert await counter.count() == Waiting(251, 251, {"invalid": 250, UNKNOWN: 1})

    await reject(redis, 2, code=_POISON)
    waiting = await counter.count()
    assert waiting == Waiting(253, 253, {"invalid": 250, "poison": 2, UNKNOWN: 1})


async def test_given_a_purge_when_counted_then_only_the_rest_is(redis: Redis) -> None:
    counter = DeadLetterTally(redis, [REJECTED])
    ids = await reject(redis, 3, code=_INVALID)
    await counter.count()

    await redis.xdel(REJECTED, *ids)
    await reject(redis, 1, code=_POISON)

    assert await counter.count() == Waiting(1, 1, {"poison": 1})


async def test_given_more_than_one_look_reads_then_the_next_goes_on(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tally, "_MOST", 200)
    counter = DeadLetterTally(redis, [REJECTED])
    await reject(redis, 350)

    assert await counter.count() == Waiting(350, 200, {"conflict": 200})
    assert await counter.count() == Waiting(350, 350, {"conflict": 350})


async def test_given_shards_when_counted_then_all_of_them_are(redis: Redis) -> None:
    streams = [shard.rejected for shard in shards(2)]
    for stream in streams:
        await reject(redis, 3, stream)

    assert (await DeadLetterTally(redis, streams).count()).total == 6
    counter = DeadLetterTally(redis, streams[:1], lambda: streams[1:])
    assert (await counter.count()).total == 6
