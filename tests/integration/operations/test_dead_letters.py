"""Dead letters on a real Redis: read page by page, and purged."""

from datetime import UTC, datetime

import pytest
from redis.asyncio import Redis

from contracts.rejections import RejectionCode
from contracts.streams import ENGINE_GROUP, REJECTED, RESPONSES, shards
from tests.support.dead_letters import ACCEPTED, REDRIVEN, all_of, entries, reject, rejection
from workers.common.errors import SettingsError
from workers.operations.dead_letters.dead_letter import DeadLetterId
from workers.operations.dead_letters.outcome import Fate
from workers.operations.dead_letters.purging import Purger
from workers.operations.dead_letters.reading import DeadLetters
from workers.operations.dead_letters.redriving import Redriver
from workers.operations.dead_letters.selection import Selection
from workers.streams.redriven import accepted_key


async def test_given_many_letters_when_filtered_then_bounded_pages_miss_none(
    redis: Redis, letters: DeadLetters
) -> None:
    await reject(redis, 450)
    (wanted,) = await reject(redis, 1, code=RejectionCode.POISON)
    await reject(redis, 20)

    pages = [page async for page in letters.pages(Selection())]

    assert [len(page) for page in pages] == [200, 200, 71]
    ids = [letter.id for page in pages for letter in page]
    assert len(set(ids)) == 471
    poison = Selection.of(codes=frozenset({RejectionCode.POISON}))
    assert [str(letter.id) for letter in await all_of(letters, poison)] == [wanted]
    behind = [
        letter async for page in letters.pages(Selection(), after=ids[440]) for letter in page
    ]
    assert [letter.id for letter in behind] == ids[441:]


async def test_given_times_when_filtered_then_the_clock_of_redis_decides(
    redis: Redis, letters: DeadLetters
) -> None:
    for entry_id in ("1000-0", "1000-7", "2000-0", "3000-0"):
        await redis.xadd(REJECTED, {"event": rejection()}, id=entry_id)

    def at(seconds: int) -> datetime:
        return datetime.fromtimestamp(seconds, UTC)

    async def within(**times: datetime) -> list[str]:
        return [str(letter.id) for letter in await all_of(letters, Selection.of(**times))]  # type: ignore[arg-type]  # times only

    assert await within(since=at(1), until=at(2)) == ["1000-0", "1000-7"]
    assert await within(since=at(2)) == ["2000-0", "3000-0"]
    assert await within(until=at(1)) == []
    assert await within(until=at(0)) == []
    late = Selection.of(since=at(2))
    for after, expected in (("1000-0", 2), ("2000-0", 1)):
        page = [p async for p in letters.pages(late, after=DeadLetterId(None, after))]
        assert sum(map(len, page)) == expected


async def test_given_shards_when_listed_then_ids_tell_them_apart(redis: Redis) -> None:
    streams = shards(3)
    sharded = DeadLetters(redis, 3, "tenant_id")
    for shard in streams:
        for entry_id in ("5-1", "6-1"):
            text = rejection(stream=shard.responses)
            await redis.xadd(shard.rejected, {"event": text}, id=entry_id)

    listed = await all_of(sharded)

    assert [str(letter.id) for letter in listed] == [
        "0:5-1",
        "0:6-1",
        "1:5-1",
        "1:6-1",
        "2:5-1",
        "2:6-1",
    ]
    behind = [p async for p in sharded.pages(Selection(), after=DeadLetterId(1, "5-1"))]
    assert [str(letter.id) for page in behind for letter in page] == ["1:6-1", "2:5-1", "2:6-1"]
    wanted = [
        DeadLetterId(2, "6-1"),
        DeadLetterId(0, "5-1"),
        DeadLetterId(3, "5-1"),
        DeadLetterId(None, "5-1"),
    ]
    assert list(await sharded.get(wanted)) == wanted[:2]
    outcomes = await Redriver(redis).redrive(listed)
    assert [outcome.fate for outcome in outcomes] == [Fate.REDRIVEN] * 6
    for shard in streams:
        assert await redis.xlen(shard.responses) == 2
        assert await redis.hlen(accepted_key(shard.responses)) == 2
    with pytest.raises(SettingsError, match="STREAM_SHARDS"):
        _ = [page async for page in sharded.pages(Selection(), after=DeadLetterId(3, "1-1"))]


async def test_given_no_letters_then_nothing_is_found(letters: DeadLetters) -> None:
    assert await all_of(letters) == []
    assert await letters.get([]) == {}
    assert await letters.get([DeadLetterId(None, "1-1")]) == {}


async def test_given_letters_when_purged_then_only_they_and_their_notes_are_gone(
    redis: Redis, letters: DeadLetters
) -> None:
    await reject(redis, 3)
    listed = await all_of(letters)
    await Redriver(redis).redrive(listed[:2])
    await _settle_all(redis)

    trial = await Purger(redis).purge(listed[:1], dry_run=True)
    assert (await redis.xlen(REJECTED), await redis.hlen(REDRIVEN)) == (3, 2)
    purged = await Purger(redis).purge(listed[:1])
    again = await Purger(redis).purge(listed[:1])

    assert [outcome.fate for outcome in (*trial, *purged, *again)] == [
        Fate.PURGED,
        Fate.PURGED,
        Fate.MISSING,
    ]
    assert [letter.id for letter in await all_of(letters)] == [letter.id for letter in listed[1:]]
    assert await redis.hkeys(REDRIVEN) == [listed[1].id.entry_id.encode()]
    assert await redis.hlen(ACCEPTED) == 1


async def test_given_a_redriven_entry_then_its_letter_stays_until_it_is_settled(
    redis: Redis, letters: DeadLetters
) -> None:
    await reject(redis, 1)
    (outcome,) = await Redriver(redis).redrive(await all_of(letters))
    purger = Purger(redis)

    async def fate() -> Fate:
        (purged,) = await purger.purge(await all_of(letters))
        return purged.fate

    assert await fate() is Fate.ON_ITS_WAY  # no group has read anything yet
    await redis.xgroup_create(RESPONSES, ENGINE_GROUP, id="0")
    assert await fate() is Fate.ON_ITS_WAY  # unread
    await redis.xreadgroup(ENGINE_GROUP, "a", {RESPONSES: ">"})
    assert await fate() is Fate.ON_ITS_WAY  # pending
    assert await redis.hlen(ACCEPTED) == 1
    await redis.xack(RESPONSES, ENGINE_GROUP, outcome.redriven_as or "")
    assert await fate() is Fate.PURGED
    assert not await redis.exists(REJECTED, REDRIVEN, ACCEPTED) - 1  # an empty stream stays


async def test_given_a_redriven_entry_that_was_trimmed_then_its_letter_is_purged(
    redis: Redis, letters: DeadLetters
) -> None:
    await reject(redis, 1)
    await Redriver(redis).redrive(await all_of(letters))
    await redis.xtrim(RESPONSES, maxlen=0, approximate=False)
    (outcome,) = await Purger(redis).purge(await all_of(letters))
    assert outcome.fate is Fate.PURGED


async def _settle_all(redis: Redis) -> None:
    await redis.xgroup_create(RESPONSES, ENGINE_GROUP, id="0")
    await redis.xreadgroup(ENGINE_GROUP, "a", {RESPONSES: ">"})
    ids = [entry_id for entry_id, _ in await entries(redis, RESPONSES)]
    await redis.xack(RESPONSES, ENGINE_GROUP, *ids)
