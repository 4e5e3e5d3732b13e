"""Trimming responses on a real Redis: what somebody needs stays, whatever else goes."""

import asyncio
import random
from typing import Any

import pytest
from redis.asyncio import Redis

from tests.support.trimmed_stream import OURS, RESPONSES, STREAM, add, group, ids, read, trim_all
from workers.common.errors import RedisUnavailable, StreamRefused
from workers.streams.entry_ids import order
from workers.streams.tries import tries_key
from workers.streams.trimming import Need, Trimmer


async def test_given_pending_and_unread_entries_then_exactly_the_acked_before_go(
    redis: Redis, trimmer: Trimmer
) -> None:
    await group(redis, OURS)
    added = await add(redis, 450)
    await read(redis, OURS, 400)
    await redis.xack(STREAM, OURS, *added[:333], *added[334:400])

    trimmed = await trimmer.trim(RESPONSES)

    assert await ids(redis) == added[333:]
    assert trimmed.entries == 333
    assert trimmed.first == added[333]
    assert trimmed.needs == (Need(OURS, added[333]),)


async def test_given_unread_entries_when_trimmed_then_all_before_them_go(
    redis: Redis, trimmer: Trimmer
) -> None:
    await group(redis, OURS)
    added = await add(redis, 30)
    await read(redis, OURS, 20)
    await redis.xack(STREAM, OURS, *added[:20])
    assert await trim_all(trimmer) == 20
    assert await ids(redis) == added[20:]


async def test_given_all_acked_when_trimmed_then_all_go_and_the_group_goes_on(
    redis: Redis, trimmer: Trimmer
) -> None:
    await group(redis, OURS)
    added = await add(redis, 20)
    await read(redis, OURS, 20)
    await redis.xack(STREAM, OURS, *added)

    trimmed = await trimmer.trim(RESPONSES)

    assert await ids(redis) == []
    assert order(added[-1]) < order(trimmed.first)
    assert trimmed.needs == (Need(OURS, None),)
    (info,) = await redis.xinfo_groups(STREAM)
    assert (info["lag"], info["pending"]) == (0, 0)
    later = await add(redis, 2)
    await trim_all(trimmer)
    assert await ids(redis) == later


@pytest.mark.parametrize("state", ["unread", "pending"])
async def test_given_a_foreign_group_behind_then_what_it_needs_stays(
    redis: Redis, trimmer: Trimmer, state: str
) -> None:
    await group(redis, OURS, "foreign")
    added = await add(redis, 20)
    await read(redis, OURS, 20)
    await redis.xack(STREAM, OURS, *added)
    await read(redis, "foreign", 5 if state == "unread" else 20)
    await redis.xack(STREAM, "foreign", *(added[:5]))

    assert await trim_all(trimmer) == 5

    assert await ids(redis) == added[5:]


async def test_given_no_group_or_not_ours_when_trimmed_then_nothing_goes(
    redis: Redis, trimmer: Trimmer
) -> None:
    added = await add(redis, 20)
    assert await trim_all(trimmer) == 0
    await group(redis, "foreign")
    await redis.xreadgroup("foreign", "c", {STREAM: ">"}, noack=True)
    assert await trim_all(trimmer) == 0
    assert await ids(redis) == added


async def test_given_no_stream_or_an_empty_one_when_trimmed_then_nothing_happens(
    redis: Redis, trimmer: Trimmer
) -> None:
    trimmed = await trimmer.trim(RESPONSES)
    assert (trimmed.entries, trimmed.more, trimmed.needs) == (0, False, ())
    assert not await redis.exists(STREAM)
    await group(redis, OURS)
    trimmed = await trimmer.trim(RESPONSES)
    assert (trimmed.entries, trimmed.more, trimmed.needs) == (0, False, (Need(OURS, None),))


async def test_given_a_deleted_entry_still_pending_then_it_holds_nothing_back(
    redis: Redis, trimmer: Trimmer
) -> None:
    await group(redis, OURS)
    added = await add(redis, 10)
    await read(redis, OURS, 10)
    await redis.xdel(STREAM, added[0])
    await redis.xack(STREAM, OURS, *added[1:6])
    assert await trim_all(trimmer) == 5
    assert await ids(redis) == added[6:]


async def test_given_a_group_set_back_then_what_it_reads_again_stays(
    redis: Redis, trimmer: Trimmer
) -> None:
    await group(redis, OURS)
    added = await add(redis, 10)
    await read(redis, OURS, 10)
    await redis.xack(STREAM, OURS, *added[:8])
    await redis.xgroup_setid(STREAM, OURS, added[3])
    assert await trim_all(trimmer) == 4
    assert await ids(redis) == added[4:]


async def test_given_ids_beyond_the_digits_of_doubles_then_the_boundary_is_exact(
    redis: Redis, trimmer: Trimmer
) -> None:
    await group(redis, OURS)
    added = [f"7-{2**53 + n}" for n in range(4)] + ["7-18446744073709551615", "10-0"]
    for entry_id in added:
        await redis.xadd(STREAM, {"event": "x"}, id=entry_id)
    await read(redis, OURS, 6)
    for count in (1, 2, 5):
        await redis.xack(STREAM, OURS, *added[:count])
        await trim_all(trimmer)
        assert await ids(redis) == added[count:]
    await redis.xadd(STREAM, {"event": "x"}, id="10-18446744073709551615")
    await read(redis, OURS, 1)
    await redis.xack(STREAM, OURS, "10-0", "10-18446744073709551615")
    assert (await trimmer.trim(RESPONSES)).first == "11-0"
    assert await ids(redis) == []


async def test_given_a_long_backlog_when_trimmed_then_each_step_is_bounded(redis: Redis) -> None:
    await group(redis, OURS)
    added = await add(redis, 5_321)
    await redis.xreadgroup(OURS, "c", {STREAM: ">"}, count=5_300, noack=True)
    trimmer, steps = Trimmer(redis, portion=1_000), []
    while True:
        steps.append(await trimmer.trim(RESPONSES))
        if not steps[-1].more:
            break
    assert await ids(redis) == added[5_300:]
    assert sum(step.entries for step in steps) == 5_300
    assert max(step.entries for step in steps) <= 1_100
    assert len(steps) >= 5


async def test_given_nodes_larger_than_a_step_then_the_trim_is_still_exact(
    redis: Redis,
) -> None:
    await group(redis, OURS)
    added = await add(redis, 450)
    await redis.xreadgroup(OURS, "c", {STREAM: ">"}, count=430, noack=True)
    assert await trim_all(Trimmer(redis, portion=10)) == 430
    assert await ids(redis) == added[430:]


async def test_given_any_history_when_trimmed_then_only_what_a_group_needs_stays(
    redis: Redis, trimmer: Trimmer
) -> None:
    chance = random.Random(5)
    names = (OURS, "b", "d")
    await group(redis, *names)
    added: list[str] = []
    read_: dict[str, int] = dict.fromkeys(names, 0)
    acked: dict[str, set[str]] = {name: set() for name in names}
    for _ in range(150):
        added += await add(redis, chance.randrange(40))
        name = chance.choice(names)
        count = chance.randrange(1, 60)
        await read(redis, name, count)
        read_[name] = min(read_[name] + count, len(added))
        waiting = [entry_id for entry_id in added[: read_[name]] if entry_id not in acked[name]]
        done = chance.sample(waiting, chance.randrange(len(waiting) + 1))
        if done:
            await redis.xack(STREAM, name, *done)
            acked[name].update(done)
        await trim_all(trimmer)
        needed = [
            entry_id for entry_id in added if any(entry_id not in acked[name] for name in names)
        ]
        assert await ids(redis) == (added[added.index(needed[0]) :] if needed else [])


async def test_given_readers_and_writers_at_work_then_every_entry_is_read(
    redis: Redis, trimmer: Trimmer
) -> None:
    await group(redis, OURS, "slow")
    added: list[str] = []
    seen: dict[str, list[str]] = {OURS: [], "slow": []}
    writing = True

    async def write() -> None:
        nonlocal writing
        for _ in range(40):
            added.extend(await add(redis, 50))
        writing = False

    async def consume(name: str, count: int) -> None:
        while writing or len(seen[name]) < len(added):
            answer: Any = await redis.xreadgroup(name, "c", {STREAM: ">"}, count=count)
            if answer:
                rows = answer[0][1] if isinstance(answer, list) else next(iter(answer.values()))
                rows = rows[0] if isinstance(rows[0], list) else rows
                seen[name] += [entry_id.decode() for entry_id, _ in rows]
                await redis.xack(STREAM, name, *(entry_id for entry_id, _ in rows))

    async def trim() -> int:
        total = 0
        while writing:
            total += await trim_all(trimmer)
        return total

    async with asyncio.timeout(30):
        *_, trimmed = await asyncio.gather(write(), consume(OURS, 100), consume("slow", 30), trim())

    assert seen == {OURS: added, "slow": added}
    assert trimmed + await trim_all(trimmer) == len(added)


async def test_given_a_key_of_another_kind_when_trimmed_then_it_is_refused(
    redis: Redis, trimmer: Trimmer
) -> None:
    await redis.set(STREAM, "text")
    await redis.set(tries_key(STREAM), "text")
    with pytest.raises(StreamRefused, match="WRONGTYPE"):
        await trimmer.trim(RESPONSES)
    with pytest.raises(StreamRefused, match="WRONGTYPE"):
        await trimmer.forget_consumers(STREAM, OURS, idle_ms=0, consumer="me")
    with pytest.raises(StreamRefused, match="WRONGTYPE"):
        await trimmer.forget_tries(STREAM, "5-0")


async def test_given_no_redis_when_trimmed_then_it_is_unavailable() -> None:
    async with Redis.from_url("redis://127.0.0.1:1", socket_connect_timeout=1) as client:
        with pytest.raises(RedisUnavailable):
            await Trimmer(client).trim(RESPONSES)
