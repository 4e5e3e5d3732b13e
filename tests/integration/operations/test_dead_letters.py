"""Dead letters on a real Redis: sent again once, judged by their first acceptance, taken away."""

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest
from redis.asyncio import Redis
from redis.exceptions import NoPermissionError

from contracts.mastery import MasteryChanged
from contracts.rejections import RejectionCode, ResponseRejected
from contracts.streams import ENGINE_GROUP, MASTERY, REJECTED, RESPONSES, shards
from tests.support.dead_letters import rejection
from tests.support.factories import event, event_json
from workers.app.worker import Role, running_worker
from workers.cli.rejected.choice import Choice
from workers.cli.rejected.run import run_over
from workers.common.errors import SettingsError, StreamRefused
from workers.common.times import iso
from workers.config.settings import Settings
from workers.operations.dead_letters.dead_letter import DeadLetter, DeadLetterId
from workers.operations.dead_letters.outcome import Fate, Outcome
from workers.operations.dead_letters.purging import Purger
from workers.operations.dead_letters.reading import DeadLetters, redriven_key
from workers.operations.dead_letters.redriving import Redriver
from workers.operations.dead_letters.selection import Selection
from workers.streams.redriven import MARKER, accepted_key

REDRIVEN = redriven_key(REJECTED)
ACCEPTED = accepted_key(RESPONSES)


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def letters(redis: Redis) -> DeadLetters:
    return DeadLetters(redis, 0, "tenant_id")


async def reject(redis: Redis, count: int, stream: str = REJECTED, **changes: Any) -> list[str]:
    """Add dead letters, as the publisher does; returns their ids."""
    async with redis.pipeline(transaction=False) as pipeline:
        for number in range(count):
            fields = {b"event": event_json(number=number)}
            pipeline.xadd(stream, {"event": rejection(fields, **changes)})
        return [entry_id.decode() for entry_id in await pipeline.execute()]


async def all_of(letters: DeadLetters, selection: Selection | None = None) -> list[DeadLetter]:
    return [one async for page in letters.pages(selection or Selection()) for one in page]


async def entries(redis: Redis, stream: str) -> list[tuple[str, dict[bytes, bytes]]]:
    found: Any = await redis.xrange(stream)
    return [(entry_id.decode(), fields) for entry_id, fields in found]


# --- reading


async def test_given_many_letters_when_filtered_then_each_page_is_bounded_and_none_is_missed(
    redis: Redis, letters: DeadLetters
) -> None:
    await reject(redis, 450)
    (wanted,) = await reject(redis, 1, code=RejectionCode.POISON)
    await reject(redis, 20)

    pages = [page async for page in letters.pages(Selection())]

    assert [len(page) for page in pages] == [200, 200, 71]
    ids = [one.id for page in pages for one in page]
    assert len(set(ids)) == 471
    poison = Selection.of(codes=frozenset({RejectionCode.POISON}))
    assert [str(one.id) for one in await all_of(letters, poison)] == [wanted]
    behind = [one async for page in letters.pages(Selection(), after=ids[440]) for one in page]
    assert [one.id for one in behind] == ids[441:]


async def test_given_times_when_filtered_then_the_clock_of_redis_decides(
    redis: Redis, letters: DeadLetters
) -> None:
    for entry_id in ("1000-0", "1000-7", "2000-0", "3000-0"):
        await redis.xadd(REJECTED, {"event": rejection()}, id=entry_id)

    def at(seconds: int) -> datetime:
        return datetime.fromtimestamp(seconds, UTC)

    async def within(**times: datetime) -> list[str]:
        return [str(one.id) for one in await all_of(letters, Selection.of(**times))]  # type: ignore[arg-type]  # times only

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

    found = await all_of(sharded)

    assert [str(one.id) for one in found] == ["0:5-1", "0:6-1", "1:5-1", "1:6-1", "2:5-1", "2:6-1"]
    behind = [p async for p in sharded.pages(Selection(), after=DeadLetterId(1, "5-1"))]
    assert [str(one.id) for page in behind for one in page] == ["1:6-1", "2:5-1", "2:6-1"]
    wanted = [
        DeadLetterId(2, "6-1"),
        DeadLetterId(0, "5-1"),
        DeadLetterId(3, "5-1"),
        DeadLetterId(None, "5-1"),
    ]
    assert list(await sharded.get(wanted)) == wanted[:2]
    outcomes = await Redriver(redis).redrive(found)
    assert [one.fate for one in outcomes] == [Fate.REDRIVEN] * 6
    for shard in streams:
        assert await redis.xlen(shard.responses) == 2
        assert await redis.hlen(accepted_key(shard.responses)) == 2
    with pytest.raises(SettingsError, match="STREAM_SHARDS"):
        _ = [page async for page in sharded.pages(Selection(), after=DeadLetterId(3, "1-1"))]


async def test_given_no_letters_then_nothing_is_found(letters: DeadLetters) -> None:
    assert await all_of(letters) == []
    assert await letters.get([]) == {}
    assert await letters.get([DeadLetterId(None, "1-1")]) == {}


# --- sending again


async def test_given_a_letter_when_redriven_twice_then_its_bytes_are_sent_once(
    redis: Redis, letters: DeadLetters
) -> None:
    text = b"\xff\x00 not even text"
    await redis.xadd(REJECTED, {"event": rejection({b"event": text}, entry_id="1000-7")})
    (one,) = await all_of(letters)

    (first,) = await Redriver(redis).redrive([one])
    (stale,) = await Redriver(redis).redrive([one])
    (known,) = await Redriver(redis).redrive(await all_of(letters))

    ((sent, fields),) = await entries(redis, RESPONSES)
    assert fields == {b"event": text, MARKER: b"1"}
    assert [one.fate for one in (first, stale, known)] == [
        Fate.REDRIVEN,
        Fate.ALREADY_REDRIVEN,
        Fate.ALREADY_REDRIVEN,
    ]
    assert {one.redriven_as for one in (first, stale, known)} == {sent}
    assert await redis.hgetall(ACCEPTED) == {sent.encode(): b"1000-7"}
    (listed,) = await all_of(letters)
    assert listed.redriven_as == sent
    assert listed.redriven_at == iso(int(sent.partition("-")[0]) * 1000)[:23] + "Z"


async def test_given_many_at_once_when_redriven_then_each_is_sent_by_one(
    redis: Redis, letters: DeadLetters
) -> None:
    await reject(redis, 120)
    found = await all_of(letters)
    redriver = Redriver(redis)

    runs = await asyncio.gather(
        *(redriver.redrive(found[start : start + 30]) for start in (0, 20, 40, 60, 90, 0))
    )

    fates = [one.fate for run in runs for one in run]
    assert fates.count(Fate.REDRIVEN) == await redis.xlen(RESPONSES) == 120
    assert fates.count(Fate.ALREADY_REDRIVEN) == 60


async def test_given_large_events_then_a_script_gets_few_of_them(
    redis: Redis, letters: DeadLetters
) -> None:
    for number in range(6):
        await redis.xadd(REJECTED, {"event": rejection({b"event": b"%d" % number * 1_500_000})})

    outcomes = await Redriver(redis).redrive(await all_of(letters))

    assert [one.fate for one in outcomes] == [Fate.REDRIVEN] * 6
    assert [fields[b"event"][:1] for _, fields in await entries(redis, RESPONSES)] == [
        b"%d" % number for number in range(6)
    ]


async def test_given_a_letter_that_is_purged_meanwhile_then_nothing_is_sent(
    redis: Redis, letters: DeadLetters
) -> None:
    await reject(redis, 2)
    found = await all_of(letters)
    await redis.xdel(REJECTED, found[0].id.entry_id)

    gone, sent = await Redriver(redis).redrive(found)

    assert (gone.fate, gone.redriven_as) == (Fate.MISSING, None)
    assert sent.fate is Fate.REDRIVEN
    assert await redis.xlen(RESPONSES) == 1


@pytest.mark.parametrize("key", [REDRIVEN, RESPONSES, ACCEPTED])
async def test_given_a_key_of_another_type_then_nothing_at_all_is_sent(
    redis: Redis, letters: DeadLetters, key: str
) -> None:
    await reject(redis, 1)
    found = await all_of(letters)
    await redis.set(key, "x")

    with pytest.raises(StreamRefused, match="WRONGTYPE"):
        await Redriver(redis).redrive(found)

    for other in {REDRIVEN, RESPONSES, ACCEPTED} - {key}:
        assert not await redis.exists(other)


async def test_given_a_stream_that_takes_nothing_more_then_the_letter_is_not_noted_as_sent(
    redis: Redis, letters: DeadLetters
) -> None:
    await reject(redis, 1)
    await redis.xadd(RESPONSES, {"event": "x"}, id=f"{2**64 - 1}-{2**64 - 1}")

    with pytest.raises(StreamRefused):
        await Redriver(redis).redrive(await all_of(letters))

    assert not await redis.exists(REDRIVEN, ACCEPTED)


async def test_given_a_run_that_breaks_off_when_run_again_then_each_is_sent_once(
    redis: Redis, letters: DeadLetters
) -> None:
    await reject(redis, 500)
    redriver = Redriver(redis)
    pages = 0

    async def break_off(page: list[DeadLetter]) -> list[Outcome]:
        nonlocal pages
        pages += 1
        outcomes = await redriver.redrive(page)
        if pages == 2:
            raise ConnectionError  # after it was sent, before anybody heard of it
        return outcomes

    with pytest.raises(ConnectionError):
        await run_over(letters, Choice(), break_off, title="redriving")
    assert await redis.xlen(RESPONSES) == 400
    tally = await run_over(letters, Choice(), redriver.redrive, title="redriving")

    assert tally.fates == {Fate.REDRIVEN: 100, Fate.ALREADY_REDRIVEN: 400}
    sent = [json.loads(fields[b"event"])["id"] for _, fields in await entries(redis, RESPONSES)]
    assert len(sent) == len(set(sent)) == 500


async def test_given_letters_that_come_back_at_once_then_a_run_ends_all_the_same(
    redis: Redis, letters: DeadLetters
) -> None:
    await reject(redis, 250)
    redriver = Redriver(redis)

    async def refused_again(page: list[DeadLetter]) -> list[Outcome]:
        await reject(redis, len(page))
        return await redriver.redrive(page)

    tally = await run_over(letters, Choice(), refused_again, title="redriving")

    assert tally.fates == {Fate.REDRIVEN: 250}
    assert await redis.xlen(REJECTED) == 500


@asynccontextmanager
async def user(redis: Redis, redis_url: str, *rules: str) -> AsyncIterator[Redis]:
    """A connection of a user that may do so much and no more."""
    name = f"test-{uuid.uuid4().hex}"
    server: Any = redis  # redis-py leaves its general command untyped
    await server.execute_command("ACL", "SETUSER", name, "on", ">secret", *rules)
    try:
        async with Redis.from_url(redis_url, username=name, password="secret") as client:
            yield client
    finally:
        await server.execute_command("ACL", "DELUSER", name)


async def test_given_a_publisher_that_may_only_publish_then_it_can_forge_no_acceptance(
    redis: Redis, redis_url: str
) -> None:
    rules = ("resetkeys", f"~{RESPONSES}", "+xadd", "+select", "+client")
    async with user(redis, redis_url, *rules) as publisher:
        sent: Any = await publisher.xadd(RESPONSES, {"event": "{}", "redriven": "1"})
        for forged in (
            publisher.hset(ACCEPTED, sent, "1-0"),
            publisher.xadd(ACCEPTED, {sent: "1-0"}),
            publisher.hset(REDRIVEN, "1-0", sent),
            publisher.xadd(REJECTED, {"event": rejection(entry_id="1-0")}),
        ):
            with pytest.raises(NoPermissionError):
                await forged
    assert await redis.keys() == [RESPONSES.encode()]


async def test_given_a_user_that_may_send_but_not_note_then_nothing_is_sent(
    redis: Redis, redis_url: str, letters: DeadLetters
) -> None:
    await reject(redis, 1)
    found = await all_of(letters)
    async with user(redis, redis_url, "allkeys", "+@all", "-hset") as limited:
        with pytest.raises(StreamRefused):
            await Redriver(limited).redrive(found)
    assert await redis.keys() == [REJECTED.encode()]


# --- taking away


async def test_given_letters_when_purged_then_they_and_their_notes_are_gone_and_no_others(
    redis: Redis, letters: DeadLetters
) -> None:
    await reject(redis, 3)
    found = await all_of(letters)
    await Redriver(redis).redrive(found[:2])
    await _settle_all(redis)

    trial = await Purger(redis).purge(found[:1], dry_run=True)
    assert (await redis.xlen(REJECTED), await redis.hlen(REDRIVEN)) == (3, 2)
    purged = await Purger(redis).purge(found[:1])
    again = await Purger(redis).purge(found[:1])

    assert [one.fate for one in (*trial, *purged, *again)] == [
        Fate.PURGED,
        Fate.PURGED,
        Fate.MISSING,
    ]
    assert [one.id for one in await all_of(letters)] == [one.id for one in found[1:]]
    assert await redis.hkeys(REDRIVEN) == [found[1].id.entry_id.encode()]
    assert await redis.hlen(ACCEPTED) == 1


async def test_given_a_redriven_entry_on_its_way_then_its_letter_is_kept_until_it_is_settled(
    redis: Redis, letters: DeadLetters
) -> None:
    await reject(redis, 1)
    (outcome,) = await Redriver(redis).redrive(await all_of(letters))
    purger = Purger(redis)

    async def fate() -> Fate:
        (one,) = await purger.purge(await all_of(letters))
        return one.fate

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
    (one,) = await Purger(redis).purge(await all_of(letters))
    assert one.fate is Fate.PURGED


async def _settle_all(redis: Redis) -> None:
    await redis.xgroup_create(RESPONSES, ENGINE_GROUP, id="0")
    await redis.xreadgroup(ENGINE_GROUP, "a", {RESPONSES: ">"})
    ids = [entry_id for entry_id, _ in await entries(redis, RESPONSES)]
    await redis.xack(RESPONSES, ENGINE_GROUP, *ids)


# --- with the engine


@pytest.fixture
def settings(redis_url: str, database_url: str) -> Settings:
    return Settings(redis_url=redis_url, database_url=database_url, max_event_bytes=4_096)


async def work(settings: Settings, **changes: Any) -> None:
    """Run a worker until all is drained."""
    changed = settings.model_copy(update=changes)
    async with running_worker(changed, [Role.ENGINE], http=False) as (worker, _):
        await worker.run(burst=True)


async def stored(settings: Settings) -> int:
    assert settings.database_url is not None
    connection = await asyncpg.connect(settings.database_url.get_secret_value())
    try:
        return int(await connection.fetchval("select count(*) from public.student_responses"))
    finally:
        await connection.close()


async def rejections(redis: Redis) -> list[ResponseRejected]:
    return [
        ResponseRejected.model_validate_json(fields[b"event"])
        for _, fields in await entries(redis, REJECTED)
    ]


def fresh(number: int = 0, *, valid_s: int = 3_600, issued_s: int = -60, **changes: Any) -> Any:
    """An event of now, whose claims were issued and expire so many seconds from now."""
    now = int(time.time())
    claims = {"iat": now + issued_s, "exp": now + valid_s}
    at = iso(now * 1_000_000)
    return event(number=number, claim_changes=claims, answered_at=at, **changes)


async def add(redis: Redis, made: Any, more: dict[str, str] | None = None, at: str = "*") -> str:
    fields: Any = {"event": json.dumps(made), **(more or {})}
    entry_id: Any = await redis.xadd(RESPONSES, fields, id=at)
    return str(entry_id.decode())


def hours_ago(hours: int) -> str:
    return f"{int(time.time() - hours * 3_600) * 1_000}-0"


async def test_given_a_token_expired_since_when_redriven_then_its_first_acceptance_counts(
    redis: Redis, letters: DeadLetters, settings: Settings
) -> None:
    """Refused at first for its size; twice, before the limit is raised far enough."""
    first = hours_ago(5)
    sent = fresh(valid_s=-4 * 3_600, issued_s=-6 * 3_600)
    sent["unknown"] = "x" * 1_024
    sent["data"]["response"]["answered_at"] = iso(int(first.partition("-")[0]) * 1_000)
    await add(redis, sent, at=first)
    size = len(json.dumps(sent)) + len("event")
    await work(settings, max_event_bytes=1_024)
    await Redriver(redis).redrive(await all_of(letters))
    await work(settings, max_event_bytes=1_024)
    one, two = await rejections(redis)
    assert [r.data.code for r in (one, two)] == [RejectionCode.TOO_LARGE] * 2
    assert (one.data.entry_id, one.data.first_entry_id) == (first, None)
    assert two.data.first_entry_id == first
    assert one.id != two.id

    outcomes = await Redriver(redis).redrive(await all_of(letters))
    await work(settings, max_event_bytes=size)  # the marker counts nothing

    assert [o.fate for o in outcomes] == [Fate.ALREADY_REDRIVEN, Fate.REDRIVEN]
    assert len(await rejections(redis)) == 2
    assert await stored(settings) == 1
    ((_, fields),) = await entries(redis, MASTERY)
    changed = MasteryChanged.model_validate_json(fields[b"event"])
    assert changed.time == datetime.fromtimestamp(int(first.partition("-")[0]) / 1000, UTC)
    outcomes = await Purger(redis).purge(await all_of(letters))
    assert [o.fate for o in outcomes] == [Fate.PURGED] * 2
    assert not await redis.exists(ACCEPTED, REDRIVEN)


async def test_given_a_publisher_that_forges_the_marker_then_it_gains_nothing(
    redis: Redis, settings: Settings
) -> None:
    await add(redis, fresh(0, valid_s=-600), {"redriven": hours_ago(5)})
    await add(redis, fresh(1, valid_s=-600), {"redriven": "1", "accepted": hours_ago(5)})
    await add(redis, fresh(2), {"redriven": "1"})
    await add(redis, fresh(3), {"redriven": "1" * 4_096})

    await work(settings)

    found = [(one.data.code, one.data.first_entry_id) for one in await rejections(redis)]
    assert found == [
        (RejectionCode.UNAUTHENTICATED, None),
        (RejectionCode.UNAUTHENTICATED, None),
        (RejectionCode.TOO_LARGE, None),
    ]
    assert await stored(settings) == 1
    assert not await redis.exists(ACCEPTED)


async def test_given_a_conflict_when_redriven_then_it_is_a_conflict_again(
    redis: Redis, letters: DeadLetters, settings: Settings
) -> None:
    await add(redis, fresh())
    conflicting = await add(redis, fresh(item_id="another"))
    await work(settings)
    await Redriver(redis).redrive(await all_of(letters))
    await work(settings)

    found = await rejections(redis)
    assert [one.data.code for one in found] == [RejectionCode.CONFLICT] * 2
    assert [one.data.first_entry_id for one in found] == [None, conflicting]
    assert await stored(settings) == 1
    assert await redis.xlen(MASTERY) == 1


async def test_given_a_letter_whose_response_was_committed_then_redriving_it_publishes_its_events(
    redis: Redis, letters: DeadLetters, settings: Settings
) -> None:
    """What a worker leaves that fell again and again between its commit and its acknowledgement."""
    made = fresh()
    entry_id = await add(redis, made)
    await work(settings)
    await redis.delete(MASTERY)
    kept = {b"event": json.dumps(made).encode()}
    poison = rejection(kept, code=RejectionCode.POISON, entry_id=entry_id)
    await redis.xadd(REJECTED, {"event": poison})

    await Redriver(redis).redrive(await all_of(letters))
    await work(settings)

    assert await redis.xlen(MASTERY) == 1
    assert await stored(settings) == 1
    assert await redis.xlen(REJECTED) == 1
