"""Redriven events in a running engine: their first acceptance decides, which nobody can forge."""

import json
import time
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest
from redis.asyncio import Redis

from contracts.mastery import MasteryChanged
from contracts.rejections import RejectionCode, ResponseRejected
from contracts.streams import MASTERY, REJECTED, RESPONSES
from tests.support.dead_letters import ACCEPTED, REDRIVEN, all_of, entries, rejection
from tests.support.factories import event
from workers.app.worker import Role, running_worker
from workers.common.times import iso
from workers.config.settings import Settings
from workers.operations.dead_letters.outcome import Fate
from workers.operations.dead_letters.purging import Purger
from workers.operations.dead_letters.reading import DeadLetters
from workers.operations.dead_letters.redriving import Redriver


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


async def test_given_a_redriven_token_expired_since_then_first_acceptance_counts(
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
    rejection, two = await rejections(redis)
    assert [r.data.code for r in (rejection, two)] == [RejectionCode.TOO_LARGE] * 2
    assert (rejection.data.entry_id, rejection.data.first_entry_id) == (first, None)
    assert two.data.first_entry_id == first
    assert rejection.id != two.id

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

    codes = [
        (rejection.data.code, rejection.data.first_entry_id)
        for rejection in await rejections(redis)
    ]
    assert codes == [
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

    refused = await rejections(redis)
    assert [rejection.data.code for rejection in refused] == [RejectionCode.CONFLICT] * 2
    assert [rejection.data.first_entry_id for rejection in refused] == [None, conflicting]
    assert await stored(settings) == 1
    assert await redis.xlen(MASTERY) == 1


async def test_given_a_letter_of_a_committed_response_then_redriving_publishes(
    redis: Redis, letters: DeadLetters, settings: Settings
) -> None:
    """Recreate an entry whose workers died repeatedly between commit and acknowledgement."""
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
