"""Repeats of a response whose owner a failover lost, on a real Redis."""

from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
from redis.asyncio import Redis

from contracts.streams import MASTERY, RESPONSES
from tests.support.doubles import admitted
from tests.support.factories import uuid_of
from workers.ledger.exchange import Recorded
from workers.publishing.lost_owners import LostOwners, history_key
from workers.publishing.mastery_events import mastery_events
from workers.publishing.settled import Settled

_OUTCOME: dict[str, Any] = {
    "concepts": [
        {
            "concept_id": "c",
            "mastery": 0.5,
            "previous_mastery": 0.4,
            "mastered": False,
            "transition": None,
            "attempts": 1,
            "probability_correct": 0.5,
            "last_answered_at": "2026-11-21T09:29:58.400000Z",
        }
    ],
    "ability": {"scale": "s", "theta": 0.0, "standard_error": 1.0, "previous_theta": 0.0},
    "session": None,
    "parameters_version": 1,
    "probability_correct": 0.5,
}


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
async def owners(redis: Redis) -> LostOwners:
    """Owners of a stream whose server was noted once, with an entry before the note."""
    await redis.xadd(RESPONSES, {"event": "before"})
    await redis.xadd(MASTERY, {"event": "before"})
    owners = LostOwners(redis, kept_s=3_600)
    await owners.losses(RESPONSES)
    return owners


async def _fail_over(redis: Redis) -> None:
    """Let the server seem to be another than the noted one."""
    await redis.hset(history_key(RESPONSES), "server", "0" * 40)


async def _entry(redis: Redis, *, kept: bool) -> str:
    entry_id: Any = await redis.xadd(RESPONSES, {"event": "an owner"})
    if not kept:
        await redis.xdel(RESPONSES, entry_id)
    return str(entry_id.decode())


async def _repeat(redis: Redis, owner: str) -> Settled:
    entry = admitted()
    entry = entry._replace(entry=entry.entry._replace(entry_id=await _entry(redis, kept=True)))
    recorded = Recorded(entry.response, 7, f"{RESPONSES}/{owner}", _OUTCOME)
    return Settled.of(entry, repeated=recorded)


def _event_of(repeat: Settled) -> bytes:
    """The event that the owner of a repeat publishes."""
    assert repeat.admitted is not None
    assert repeat.repeated is not None
    (event,) = mastery_events(repeat.admitted, repeat.repeated)
    return event


async def test_given_a_lost_owner_then_one_repeat_publishes_in_its_place(
    redis: Redis, owners: LostOwners
) -> None:
    owner = await _entry(redis, kept=False)
    await _fail_over(redis)
    first, second = await _repeat(redis, owner), await _repeat(redis, owner)
    await owners.replace(RESPONSES, [first, second])
    assert first.recorded is first.repeated
    assert second.recorded is None

    # Its worker died before it published: another gets the same entry again.
    first.recorded = None
    third = await _repeat(redis, owner)
    await LostOwners(redis, kept_s=3_600).replace(RESPONSES, [third, second, first])
    assert first.recorded is first.repeated
    assert second.recorded is third.recorded is None


async def test_given_a_repeat_that_was_lost_as_well_then_the_next_one_publishes(
    redis: Redis, owners: LostOwners
) -> None:
    owner = await _entry(redis, kept=False)
    lost = await _repeat(redis, owner)
    assert await redis.xdel(RESPONSES, lost.entry.entry_id)
    await _fail_over(redis)
    there = await _repeat(redis, owner)
    await owners.replace(RESPONSES, [lost, there])
    assert lost.recorded is None
    assert there.recorded is there.repeated


async def test_given_an_owner_that_was_trimmed_then_its_repeat_publishes_nothing(
    redis: Redis, owners: LostOwners
) -> None:
    owner = await _entry(redis, kept=False)
    await _fail_over(redis)
    repeat = await _repeat(redis, owner)
    event = _event_of(repeat)
    for number in range(3):
        await redis.xadd(MASTERY, {"event": orjson.dumps({"id": uuid_of(number)})})
    await redis.xadd(MASTERY, {"event": event})
    await owners.replace(RESPONSES, [repeat])
    assert repeat.recorded is None


async def test_given_events_read_before_a_loss_then_its_repeat_publishes(
    redis: Redis, owners: LostOwners
) -> None:
    owner = await _entry(redis, kept=False)
    await _fail_over(redis)
    repeat = await _repeat(redis, owner)
    event = _event_of(repeat)
    event_id: Any = await redis.xadd(MASTERY, {"event": event})
    await owners.replace(RESPONSES, [repeat])
    assert repeat.recorded is None

    # The next failover loses the event that was read.
    await redis.xdel(MASTERY, event_id)
    await _fail_over(redis)
    again = await _repeat(redis, owner)
    await owners.replace(RESPONSES, [again])
    assert again.recorded is again.repeated


async def test_given_an_owner_that_is_there_then_it_publishes_by_itself(
    redis: Redis, owners: LostOwners
) -> None:
    owner = await _entry(redis, kept=True)
    await _fail_over(redis)
    repeat = await _repeat(redis, owner)
    await owners.replace(RESPONSES, [repeat])
    assert repeat.recorded is None


@pytest.mark.parametrize("lost_before", [True, False])
async def test_given_no_loss_at_that_time_then_a_missing_owner_was_trimmed(
    redis: Redis, owners: LostOwners, *, lost_before: bool
) -> None:
    if lost_before:
        await _fail_over(redis)
        repeat = await _repeat(redis, "1-0")
    else:
        repeat = await _repeat(redis, await _entry(redis, kept=False))
    await owners.replace(RESPONSES, [repeat])
    assert repeat.recorded is None


async def test_given_events_that_may_be_trimmed_then_nothing_is_published_twice(
    redis: Redis, owners: LostOwners
) -> None:
    owner = await _entry(redis, kept=False)
    await _fail_over(redis)
    await redis.xadd(MASTERY, {"event": "after"})
    await redis.xtrim(MASTERY, maxlen=1, approximate=False)
    repeat = await _repeat(redis, owner)
    await owners.replace(RESPONSES, [repeat])
    assert repeat.recorded is None


async def test_given_losses_of_long_ago_then_they_are_forgotten(
    redis: Redis, owners: LostOwners
) -> None:
    await _fail_over(redis)
    (loss,) = await owners.losses(RESPONSES)
    assert loss.until_ms > 0
    assert await owners.losses(RESPONSES) == [loss]
    key = history_key(RESPONSES)
    fields: Any = await redis.hgetall(key)
    (field,) = [name for name in fields if name.startswith(b"lost")]
    await redis.hset(key, "lost 1", fields[field])
    await redis.hdel(key, field)
    assert await owners.losses(RESPONSES) == []
    assert not await redis.hexists(key, "lost 1")
