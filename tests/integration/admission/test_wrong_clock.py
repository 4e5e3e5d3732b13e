"""A Redis whose clock is or was wrong: reading pauses and says so, and nothing is refused."""

import asyncio
import json
import time
from functools import partial
from typing import Any

import asyncpg
import pytest
from pydantic import SecretStr
from redis.asyncio import Redis

from contracts.rejections import RejectionCode
from contracts.streams import REJECTED, RESPONSES
from tests.support.dead_letters import all_of, rejection
from tests.support.factories import event
from tests.support.stream_reader import until
from workers.app.lifecycle import Worker
from workers.app.worker import Role, running_worker
from workers.common.times import iso
from workers.config.settings import Settings
from workers.operations.dead_letters.reading import DeadLetters
from workers.operations.dead_letters.redriving import Redriver
from workers.streams.redis_clock import RedisClock

SECONDS_OF_A_DAY = 86_400


@pytest.fixture
def settings(redis_url: str, database_url: str) -> Settings:
    return Settings(
        redis_url=redis_url, database_url=SecretStr(database_url), max_queue_age_s=3_600
    )


def fresh(number: int) -> Any:
    """An event of now, with claims of an hour."""
    now = int(time.time())
    claims = {"iat": now, "exp": now + 3_600}
    return event(number=number, claim_changes=claims, answered_at=iso(now * 1_000_000))


async def add(redis: Redis, number: int, clock_s: float) -> None:
    """Add an event of now as a Redis does whose clock is wrong by so many seconds."""
    entry_id = f"{int((time.time() + clock_s) * 1_000)}-{number}"
    await redis.xadd(RESPONSES, {"event": json.dumps(fresh(number))}, id=entry_id)


async def stored(settings: Settings) -> int:
    assert settings.database_url is not None
    connection = await asyncpg.connect(settings.database_url.get_secret_value())
    try:
        return int(await connection.fetchval("select count(*) from public.student_responses"))
    finally:
        await connection.close()


async def drain(worker: Worker) -> None:
    async with asyncio.timeout(60):
        await worker.run(burst=True)


@pytest.mark.parametrize("clock_s", [-400, SECONDS_OF_A_DAY])
async def test_given_ids_of_a_wrong_clock_then_nothing_is_refused(
    settings: Settings, redis_url: str, clock_s: float
) -> None:
    """The clock is right again when the entries are read; their ids stay as they are."""
    async with Redis.from_url(redis_url) as redis:
        for number in range(3):
            await add(redis, number, clock_s)
        async with running_worker(settings, [Role.ENGINE], http=False) as (worker, _):
            await drain(worker)
        assert await redis.xlen(REJECTED) == 0
    assert await stored(settings) == 3


@pytest.mark.parametrize("clock_s", [-400, SECONDS_OF_A_DAY])
async def test_given_a_wrong_clock_then_reading_waits_until_both_agree(
    monkeypatch: pytest.MonkeyPatch, settings: Settings, redis_url: str, clock_s: float
) -> None:
    wrong_s = clock_s
    monkeypatch.setattr(
        "workers.app.engine.RedisClock", partial(RedisClock, own=lambda: time.time() - wrong_s)
    )
    async with Redis.from_url(redis_url) as redis:
        await add(redis, 0, 0)
        async with running_worker(settings, [Role.ENGINE], http=False) as (worker, _):
            await until(lambda: "clock" in worker.waited_for())
            assert "redis's clock is" in worker.waited_for()["clock"]
            assert await stored(settings) == 0
            wrong_s = 0
            await drain(worker)
            assert not worker.waited_for()
        assert await redis.xlen(REJECTED) == 0
    assert await stored(settings) == 1


async def test_given_a_refusal_under_a_wrong_clock_then_a_redrive_is_recorded(
    settings: Settings, redis_url: str
) -> None:
    """Refused by an earlier version, when Redis's clock was 400 s behind."""
    first = f"{int((time.time() - 400) * 1_000)}-0"
    async with Redis.from_url(redis_url) as redis:
        fields = {b"event": json.dumps(fresh(0)).encode()}
        letter = rejection(fields, code=RejectionCode.INVALID, entry_id=first)
        await redis.xadd(REJECTED, {"event": letter})
        await Redriver(redis).redrive(await all_of(DeadLetters(redis, 0, "tenant_id")))
        async with running_worker(settings, [Role.ENGINE], http=False) as (worker, _):
            await drain(worker)
        assert await redis.xlen(REJECTED) == 1
    assert await stored(settings) == 1
