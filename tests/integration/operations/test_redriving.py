"""Dead letters on a real Redis when they are sent again: each one once, or not at all."""

import asyncio
import json
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.exceptions import NoPermissionError

from contracts.streams import REJECTED, RESPONSES
from tests.support.dead_letters import ACCEPTED, REDRIVEN, all_of, entries, reject, rejection
from tests.support.redis_users import redis_user
from workers.cli.rejected.choice import Choice
from workers.cli.rejected.run import run_over
from workers.common.errors import StreamRefused
from workers.common.times import iso
from workers.operations.dead_letters.dead_letter import DeadLetter
from workers.operations.dead_letters.outcome import Fate, Outcome
from workers.operations.dead_letters.reading import DeadLetters
from workers.operations.dead_letters.redriving import Redriver
from workers.streams.redriven import MARKER


async def test_given_a_letter_when_redriven_twice_then_its_bytes_are_sent_once(
    redis: Redis, letters: DeadLetters
) -> None:
    text = b"\xff\x00 not even text"
    await redis.xadd(REJECTED, {"event": rejection({b"event": text}, entry_id="1000-7")})
    (dead_letter,) = await all_of(letters)

    (first,) = await Redriver(redis).redrive([dead_letter])
    (stale,) = await Redriver(redis).redrive([dead_letter])
    (known,) = await Redriver(redis).redrive(await all_of(letters))

    ((sent, fields),) = await entries(redis, RESPONSES)
    assert fields == {b"event": text, MARKER: b"1"}
    assert [outcome.fate for outcome in (first, stale, known)] == [
        Fate.REDRIVEN,
        Fate.ALREADY_REDRIVEN,
        Fate.ALREADY_REDRIVEN,
    ]
    assert {letter.redriven_as for letter in (first, stale, known)} == {sent}
    assert await redis.hgetall(ACCEPTED) == {sent.encode(): b"1000-7"}
    (listed,) = await all_of(letters)
    assert listed.redriven_as == sent
    assert listed.redriven_at == iso(int(sent.partition("-")[0]) * 1000)[:23] + "Z"


async def test_given_many_at_once_when_redriven_then_each_is_sent_by_one(
    redis: Redis, letters: DeadLetters
) -> None:
    await reject(redis, 120)
    listed = await all_of(letters)
    redriver = Redriver(redis)

    runs = await asyncio.gather(
        *(redriver.redrive(listed[start : start + 30]) for start in (0, 20, 40, 60, 90, 0))
    )

    fates = [outcome.fate for run in runs for outcome in run]
    assert fates.count(Fate.REDRIVEN) == await redis.xlen(RESPONSES) == 120
    assert fates.count(Fate.ALREADY_REDRIVEN) == 60


async def test_given_large_events_then_a_script_gets_few_of_them(
    redis: Redis, letters: DeadLetters
) -> None:
    for number in range(6):
        await redis.xadd(REJECTED, {"event": rejection({b"event": b"%d" % number * 1_500_000})})

    outcomes = await Redriver(redis).redrive(await all_of(letters))

    assert [outcome.fate for outcome in outcomes] == [Fate.REDRIVEN] * 6
    assert [fields[b"event"][:1] for _, fields in await entries(redis, RESPONSES)] == [
        b"%d" % number for number in range(6)
    ]


async def test_given_a_letter_that_is_purged_meanwhile_then_nothing_is_sent(
    redis: Redis, letters: DeadLetters
) -> None:
    await reject(redis, 2)
    listed = await all_of(letters)
    await redis.xdel(REJECTED, listed[0].id.entry_id)

    gone, sent = await Redriver(redis).redrive(listed)

    assert (gone.fate, gone.redriven_as) == (Fate.MISSING, None)
    assert sent.fate is Fate.REDRIVEN
    assert await redis.xlen(RESPONSES) == 1


@pytest.mark.parametrize("key", [REDRIVEN, RESPONSES, ACCEPTED])
async def test_given_a_key_of_another_type_then_nothing_at_all_is_sent(
    redis: Redis, letters: DeadLetters, key: str
) -> None:
    await reject(redis, 1)
    listed = await all_of(letters)
    await redis.set(key, "x")

    with pytest.raises(StreamRefused, match="WRONGTYPE"):
        await Redriver(redis).redrive(listed)

    for other in {REDRIVEN, RESPONSES, ACCEPTED} - {key}:
        assert not await redis.exists(other)


async def test_given_a_full_stream_then_the_letter_is_not_noted_as_sent(
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


async def test_given_a_user_limited_to_publishing_then_no_acceptance_is_forged(
    redis: Redis, redis_url: str
) -> None:
    rules = ("resetkeys", f"~{RESPONSES}", "+xadd", "+select", "+client")
    async with redis_user(redis, redis_url, *rules) as publisher:
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
    listed = await all_of(letters)
    async with redis_user(redis, redis_url, "allkeys", "+@all", "-hset") as limited:
        with pytest.raises(StreamRefused):
            await Redriver(limited).redrive(listed)
    assert await redis.keys() == [REJECTED.encode()]


async def test_given_no_right_to_the_origins_then_nothing_is_sent(
    redis: Redis, redis_url: str, letters: DeadLetters
) -> None:
    await reject(redis, 1)
    listed = await all_of(letters)
    rules = ("allkeys", "+@all", "-hset", f"(+hset ~{REDRIVEN})")
    async with redis_user(redis, redis_url, *rules) as limited:
        with pytest.raises(StreamRefused):
            await Redriver(limited).redrive(listed)
    assert await redis.keys() == [REJECTED.encode()]
