"""Ack-and-publish on a real Redis that refuses one of the two: then it does neither."""

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from contracts.rejections import RejectionCode
from contracts.streams import ENGINE_GROUP, Shard, shards
from tests.support.redis_users import redis_user
from workers.common.errors import Refused, StreamRefused
from workers.publishing.publisher import Publisher
from workers.publishing.settled import Settled
from workers.streams.batch import RawEntry
from workers.streams.route import Route

SHARD: Shard = shards(0)[0]
ROUTE = Route.of_responses(SHARD)
LAST_ID = f"{2**64 - 1}-{2**64 - 2}"


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url) as client:
        await client.xgroup_create(SHARD.responses, ENGINE_GROUP, id="0", mkstream=True)
        yield client


async def deliver(redis: Redis, count: int) -> list[str]:
    for number in range(count):
        await redis.xadd(SHARD.responses, {"event": f"{number}"}, id=f"{number + 1}-0")
    await redis.xreadgroup(ENGINE_GROUP, "a", {SHARD.responses: ">"}, count=count)
    return [f"{number + 1}-0" for number in range(count)]


async def pending(redis: Redis) -> int:
    return int((await redis.xpending(SHARD.responses, ENGINE_GROUP))["pending"])


def batch(ids: list[str]) -> list[Settled]:
    """A repeat, a recorded response and a refused one."""
    repeat, recorded, refused = (RawEntry(entry_id, {}) for entry_id in ids)
    return [
        Settled(repeat),
        Settled(recorded, [b"1a", b"1b"]),
        Settled(refused, [b"2"], Refused(RejectionCode.INVALID, "no JSON")),
    ]


@pytest.mark.parametrize("missing", ["-xadd", "-xack"])
async def test_given_no_right_to_a_command_then_it_acks_and_adds_nothing(
    redis: Redis, redis_url: str, missing: str
) -> None:
    ids = await deliver(redis, 3)

    async with redis_user(redis, redis_url, "allkeys", "+@all", missing) as limited:
        with pytest.raises(StreamRefused, match="can't run this command"):
            await Publisher(limited, ENGINE_GROUP).publish(ROUTE, batch(ids))

    assert await pending(redis) == 3
    assert not await redis.exists(SHARD.mastery, SHARD.rejected)
    assert await Publisher(redis, ENGINE_GROUP).publish(ROUTE, batch(ids)) == 3
    assert (await redis.xlen(SHARD.mastery), await redis.xlen(SHARD.rejected)) == (2, 1)


@pytest.mark.parametrize("closed", [SHARD.mastery, SHARD.rejected])
async def test_given_a_stream_it_may_not_add_to_then_it_acks_nothing(
    redis: Redis, redis_url: str, closed: str
) -> None:
    ids = await deliver(redis, 3)
    (other,) = {SHARD.mastery, SHARD.rejected} - {closed}
    rules = ("allkeys", "+@all", "-xadd", f"(+xadd ~{other})")

    async with redis_user(redis, redis_url, *rules) as limited:
        with pytest.raises(StreamRefused):
            await Publisher(limited, ENGINE_GROUP).publish(ROUTE, batch(ids))

    assert await pending(redis) == 3
    assert not await redis.exists(SHARD.mastery, SHARD.rejected)


async def test_given_a_closed_stream_without_events_then_the_others_go_on(
    redis: Redis, redis_url: str
) -> None:
    ids = await deliver(redis, 3)
    rules = ("allkeys", "+@all", "-xadd", f"(+xadd ~{SHARD.mastery})")

    async with redis_user(redis, redis_url, *rules) as limited:
        assert await Publisher(limited, ENGINE_GROUP).publish(ROUTE, batch(ids)[:2]) == 2

    assert await redis.xlen(SHARD.mastery) == 2


async def test_given_a_stream_whose_ids_are_used_up_then_it_acks_nothing(
    redis: Redis,
) -> None:
    ids = await deliver(redis, 3)
    await redis.xadd(SHARD.rejected, {"event": "x"}, id=LAST_ID)

    with pytest.raises(StreamRefused, match="last time that an entry id can hold"):
        await Publisher(redis, ENGINE_GROUP).publish(ROUTE, batch(ids))

    assert await pending(redis) == 3
    assert not await redis.exists(SHARD.mastery)
