"""Trimming the mastery stream on a real Redis: the newest stay, and what is too old goes."""

import pytest
from redis.asyncio import Redis

from tests.support.trimmed_stream import HOUR_MS, OURS, STREAM, add, group, ids, read, trim_all
from workers.streams.trimming import Bounds, Need, Trimmer


@pytest.mark.parametrize("keep", [1, 37, 100, 399, 400, 1_000])
async def test_given_all_acked_when_trimmed_then_exactly_the_newest_stay(
    redis: Redis, trimmer: Trimmer, keep: int
) -> None:
    await group(redis, OURS)
    added = await add(redis, 400)
    await redis.xreadgroup(OURS, "c", {STREAM: ">"}, noack=True)
    await trim_all(trimmer, Bounds(STREAM, OURS, keep, HOUR_MS))
    assert await ids(redis) == added[-keep:]


async def test_given_some_unacked_entries_when_trimmed_then_more_than_keep_stay(
    redis: Redis, trimmer: Trimmer
) -> None:
    await group(redis, OURS)
    added = await add(redis, 400)
    await read(redis, OURS, 400)
    await redis.xack(STREAM, OURS, *added[:250])
    await trim_all(trimmer, Bounds(STREAM, OURS, 37, HOUR_MS))
    assert await ids(redis) == added[250:]


async def test_given_a_future_group_when_trimmed_then_it_has_read_nothing(
    redis: Redis, trimmer: Trimmer
) -> None:
    added = await add(redis, 50)
    await group(redis, "foreign")
    await redis.xreadgroup("foreign", "c", {STREAM: ">"}, noack=True)
    await trim_all(trimmer, Bounds(STREAM, OURS, 10, HOUR_MS))
    assert await ids(redis) == added


async def old(redis: Redis, count: int, age_ms: int) -> list[str]:
    """Entries that were added so long ago."""
    seconds, microseconds = await redis.time()
    at = seconds * 1000 + microseconds // 1000 - age_ms
    made = [f"{at}-{number}" for number in range(count)]
    for entry_id in made:
        await redis.xadd(STREAM, {"event": "x"}, id=entry_id)
    return made


@pytest.mark.parametrize("state", ["unread", "pending", "to come"])
async def test_given_unacked_entries_past_the_retention_then_they_go(
    redis: Redis, trimmer: Trimmer, state: str
) -> None:
    gone = await old(redis, 250, 2 * HOUR_MS)
    young = await old(redis, 150, HOUR_MS // 2)
    if state != "to come":
        await group(redis, OURS)
    if state == "pending":
        await read(redis, OURS, 400)

    trimmed = await trimmer.trim(Bounds(STREAM, OURS, 10, HOUR_MS))

    assert await ids(redis) == young
    if state != "to come":
        assert trimmed.needs == (Need(OURS, gone[0]),)
        assert trimmed.age_s(gone[0]) == pytest.approx(7200, abs=5)
    assert trimmed.first == young[0]


async def test_given_old_entries_among_the_newest_when_trimmed_then_they_stay(
    redis: Redis, trimmer: Trimmer
) -> None:
    added = await old(redis, 250, 2 * HOUR_MS)
    await group(redis, OURS)
    await trim_all(trimmer, Bounds(STREAM, OURS, 40, HOUR_MS))
    assert await ids(redis) == added[-40:]


async def test_given_old_unacked_responses_when_trimmed_then_they_stay(
    redis: Redis, trimmer: Trimmer
) -> None:
    added = await old(redis, 20, 1_000 * HOUR_MS)
    await group(redis, OURS)
    assert await trim_all(trimmer) == 0
    assert await ids(redis) == added
