"""`positions` and `follow` of the Python client on a real Redis, plain and asyncio."""

import asyncio

import pytest
from redis import Redis as PlainRedis
from redis.asyncio import Redis

from contracts import MasteryChanged
from contracts import client as plain
from contracts.client import PositionLostError
from contracts.client import asyncio as aio
from contracts.streams import MASTERY
from tests.integration.contracts.client.test_subscribing import tell
from tests.support.python_client import Form, followed


async def _positions(form: Form, redis: Redis, url: str, shards: int = 0) -> dict[str, str]:
    if form == "asyncio":
        return await aio.positions(redis, MasteryChanged, shards=shards)
    with PlainRedis.from_url(url) as client:
        return plain.positions(client, MasteryChanged, shards=shards)


async def test_given_streams_then_positions_are_their_ends_trimmed_or_not(
    form: Form, redis: Redis, redis_url: str
) -> None:
    (first,) = await tell(redis, [1], f"{MASTERY}.{{0}}")
    await redis.xtrim(f"{MASTERY}.{{0}}", maxlen=0, approximate=False)

    assert await _positions(form, redis, redis_url, shards=2) == {
        f"{MASTERY}.{{0}}": first,
        f"{MASTERY}.{{1}}": "0-0",
    }


async def test_given_positions_then_all_that_comes_after_them_is_followed(
    form: Form, redis: Redis, redis_url: str
) -> None:
    await tell(redis, [1, 2])
    positions = await _positions(form, redis, redis_url)
    third, fourth = await tell(redis, [3, 4])
    found = await followed(form, redis_url, positions, 2)

    assert [event.data.version for event, _ in found] == [3, 4]
    assert [delivery.entry_id for _, delivery in found] == [third, fourth]


async def test_given_an_idle_stream_then_following_waits_for_what_comes(
    form: Form, redis: Redis, redis_url: str
) -> None:
    following = asyncio.ensure_future(followed(form, redis_url, {MASTERY: "0-0"}, 1))
    await asyncio.sleep(0.1)
    await tell(redis, [1])
    ((event, _),) = await following

    assert event.data.version == 1


async def test_given_trimming_beyond_a_position_then_the_gap_is_told(
    form: Form, redis: Redis, redis_url: str
) -> None:
    first, *_ = await tell(redis, [1, 2, 3])
    await redis.xtrim(MASTERY, maxlen=1, approximate=False)

    with pytest.raises(PositionLostError, match="take a new snapshot") as lost:
        await followed(form, redis_url, {MASTERY: first}, 1)
    assert (lost.value.stream, lost.value.position) == (MASTERY, first)


async def test_given_trimming_before_a_position_then_there_is_no_gap(
    form: Form, redis: Redis, redis_url: str
) -> None:
    _, second, _ = await tell(redis, [1, 2, 3])
    await redis.xtrim(MASTERY, maxlen=2, approximate=False)
    ((event, _),) = await followed(form, redis_url, {MASTERY: second}, 1)

    assert event.data.version == 3


async def test_given_a_stream_trimmed_to_nothing_then_its_end_is_a_position(
    form: Form, redis: Redis, redis_url: str
) -> None:
    await tell(redis, [1, 2])
    await redis.xtrim(MASTERY, maxlen=0, approximate=False)
    positions = await _positions(form, redis, redis_url)
    following = asyncio.ensure_future(followed(form, redis_url, positions, 1))
    await asyncio.sleep(0.2)
    await tell(redis, [3])
    ((event, _),) = await following

    assert event.data.version == 3


async def test_given_a_stop_then_following_ends(redis: Redis) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().call_later(0.1, stop.set)
    found = [pair async for pair in aio.follow(redis, MasteryChanged, {MASTERY: "0-0"}, stop=stop)]

    assert found == []
