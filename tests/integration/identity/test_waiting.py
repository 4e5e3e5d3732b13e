"""A worker whose events need keys that it does not know: who waits, who goes on, who is refused."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import pytest
from pydantic import SecretStr
from redis.asyncio import Redis

from contracts.streams import ENGINE_GROUP, REJECTED, RESPONSES
from tests.support.issuer import ISSUER, KeyServer, SigningKey, token_claims
from tests.support.token_events import token_event
from tests.support.whole_run import Setting, start_worker
from workers.app.worker import Role, running_worker
from workers.common.errors import KeysUnavailable
from workers.config.settings import Settings
from workers.operations.dead_letters.reading import DeadLetters
from workers.operations.dead_letters.redriving import Redriver
from workers.operations.dead_letters.selection import Selection
from workers.streams.tries import tries_key

WITHIN_S = 60.0


@pytest.fixture
def settings(redis_url: str, database_url: str, issuer: KeyServer) -> Settings:
    return Settings(
        redis_url=redis_url,
        database_url=SecretStr(database_url),
        jwt_jwks_url=issuer.url,
        jwt_issuer=ISSUER,
        reclaim_after_ms=400,
        batch_size=50,
    )


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(WITHIN_S):
        while not await condition():  # servers tell nobody
            await asyncio.sleep(0.02)


async def publish(
    redis: Redis, key: SigningKey, *numbers: int, entry_id: str = "*", **changes: Any
) -> None:
    async with redis.pipeline(transaction=False) as pipeline:
        for number in numbers:
            claims = token_claims(f"student-{number % 7}", **changes)
            event = token_event(claims, key.sign(claims), number)
            pipeline.xadd(RESPONSES, {"event": event}, id=entry_id)
        await pipeline.execute()


async def applied(settings: Settings) -> int:
    assert settings.database_url is not None
    connection = await asyncpg.connect(settings.database_url.get_secret_value())
    try:
        return int(await connection.fetchval("select count(*) from public.student_responses"))
    finally:
        await connection.close()


async def reaches(settings: Settings, count: int) -> None:
    async def enough() -> bool:
        return await applied(settings) == count

    await until(enough)


async def refused(redis: Redis) -> Counter[str]:
    letters: Any = await redis.xrange(REJECTED)
    return Counter(json.loads(fields[b"event"])["data"]["code"] for _, fields in letters)


async def pending(redis: Redis) -> list[Any]:
    pending: Any = await redis.xpending_range(RESPONSES, ENGINE_GROUP, "-", "+", 10_000)
    return list(pending)


async def work(settings: Settings) -> None:
    """Run a worker until all is drained."""
    async with asyncio.timeout(WITHIN_S):
        async with running_worker(settings, [Role.ENGINE], http=False) as (worker, _):
            await worker.run(burst=True)


async def test_given_unknown_keys_in_an_outage_then_they_wait_and_others_go_on(
    redis: Redis, settings: Settings, issuer: KeyServer
) -> None:
    old, new, forger = issuer.keys[0], SigningKey("new", "EdDSA"), SigningKey("forged")
    async with running_worker(settings, [Role.ENGINE], http=False) as (worker, _):
        await publish(redis, old, *range(5))
        await reaches(settings, 5)
        began = time.monotonic()
        with issuer.outage():
            issuer.keys.append(new)
            await publish(redis, forger, *range(100, 220))
            await publish(redis, new, *range(5, 15))
            await publish(redis, old, *range(15, 20))
            await reaches(settings, 10)

            async def away() -> bool:
                try:
                    await worker._engine._parking.check()  # type: ignore[union-attr]
                except KeysUnavailable as error:
                    return "130 entries wait" in str(error)
                return False

            await until(away)
            await worker.consuming()  # what is known goes on
            assert not await refused(redis)
            # Longer than after what an entry is claimed: nobody tries them meanwhile.
            await asyncio.sleep(1.5)
            waiting = await pending(redis)
            assert len(waiting) == 130
            assert {row["times_delivered"] for row in waiting} == {0}
            assert not await redis.exists(tries_key(RESPONSES))
        await reaches(settings, 20)
        await until(lambda: drained(redis))
        seconds = time.monotonic() - began
    assert await refused(redis) == {"unauthenticated": 120}
    assert await applied(settings) == 20
    # A first fetch, those that failed a second and more apart, and those that decided.
    assert issuer.fetches < 10 + seconds


async def drained(redis: Redis) -> bool:
    return not await pending(redis)


async def test_given_a_stop_as_entries_wait_then_the_next_worker_finishes_them(
    redis: Redis, settings: Settings, issuer: KeyServer
) -> None:
    new = SigningKey("new")
    await publish(redis, issuer.keys[0], *range(3))
    await work(settings)
    with issuer.outage():
        issuer.keys.append(new)
        for _ in range(4):
            async with running_worker(settings, [Role.ENGINE], http=False):
                if not await pending(redis):
                    await publish(redis, new, *range(3, 9))

                async def parked() -> bool:
                    waiting = await pending(redis)
                    return [row["times_delivered"] for row in waiting] == 6 * [0]

                await until(parked)
        assert not await refused(redis)
    await work(settings)
    assert await applied(settings) == 9
    assert not await refused(redis)


async def test_given_no_key_at_start_then_intake_waits_and_readiness_says_why(
    redis: Redis, settings: Settings, issuer: KeyServer
) -> None:
    await publish(redis, issuer.keys[0], *range(4))
    with issuer.outage():
        async with running_worker(settings, [Role.ENGINE], http=False) as (worker, _):

            async def unready() -> bool:
                try:
                    await worker.consuming()
                except KeysUnavailable as error:
                    return "503" in str(error)
                return False

            await until(unready)
            assert await applied(settings) == 0
            assert not await refused(redis)
            issuer.status = 200
            await reaches(settings, 4)
            await worker.consuming()


async def test_given_a_rotation_and_entries_of_both_keys_then_none_is_lost(
    redis: Redis, settings: Settings, issuer: KeyServer
) -> None:
    old, new = issuer.keys[0], SigningKey("new")
    await publish(redis, old, 0)
    await work(settings)
    # The worker is down; the issuer rotates, and tokens of both keys are queued.
    await publish(redis, old, *range(1, 100))
    await publish(redis, new, *range(100, 150))
    await publish(redis, old, *range(150, 200))
    issuer.keys = [new]
    await work(settings)
    assert await applied(settings) == 200
    assert not await refused(redis)
    # From now on the old one counts no more, for workers that never saw it too.
    await publish(redis, old, *range(200, 203))
    await publish(redis, new, 203)
    await work(settings)
    assert await applied(settings) == 201
    assert await refused(redis) == {"unauthenticated": 3}


async def test_given_an_id_of_a_moment_to_come_then_it_stalls_nobody(
    redis: Redis, settings: Settings, issuer: KeyServer
) -> None:
    far = f"{int(time.time() * 1000) + 100_000}-1"
    await publish(redis, SigningKey("forged"), 1, entry_id=far)
    await publish(redis, issuer.keys[0], *range(2, 5))
    await work(settings)
    assert (await applied(settings), await refused(redis)) == (3, {"unauthenticated": 1})


@pytest.mark.parametrize("mode", ["verify", "trust"])
async def test_given_an_entry_that_waited_too_long_then_its_redrive_counts_once(
    redis: Redis, settings: Settings, issuer: KeyServer, mode: str
) -> None:
    issued_s = int(time.time()) - 8 * 86_400
    await publish(
        redis,
        issuer.keys[0],
        1,
        entry_id=f"{1000 * issued_s + 60_000}-0",
        iat=issued_s,
        exp=issued_s + 3_600,
    )
    changed = settings.model_copy(update={"jwt_mode": mode})
    await work(changed)
    assert (await applied(settings), await refused(redis)) == (0, {"unauthenticated": 1})
    letters = [
        rejection
        async for page in DeadLetters(redis, 0, "tenant_id").pages(Selection())
        for rejection in page
    ]
    assert "mastery rejected redrive" in str(letters[0].text("reason"))
    await Redriver(redis).redrive(letters)
    await work(changed)
    assert await applied(settings) == 1


async def test_given_a_run_in_verify_mode_then_only_signed_answers_count(
    redis: Redis, settings: Settings, issuer: KeyServer, redis_url: str, database_url: str
) -> None:
    key, forger = issuer.keys[0], SigningKey("old")
    for start in range(0, 400, 100):
        await publish(redis, key, *range(start, start + 100))
        await publish(redis, forger, *range(1_000 + start, 1_005 + start))
        await publish(redis, SigningKey("unknown"), *range(2_000 + start, 2_005 + start))
        await publish(redis, key, 3_000 + start, aud="other")
        await publish(redis, key, 4_000 + start, exp=int(time.time()) - 61)
    setting = Setting(redis_url, {"DATABASE_URL": database_url}, database_url)
    worker = await asyncio.to_thread(
        start_worker,
        setting,
        "--burst",
        "--role",
        "engine",
        JWT_JWKS_URL=issuer.url,
        JWT_ISSUER=ISSUER,
    )
    try:
        assert await asyncio.to_thread(worker.wait, WITHIN_S) == 0
    finally:
        worker.kill()
        await asyncio.to_thread(worker.wait)
    assert await applied(settings) == 400
    assert await refused(redis) == {"unauthenticated": 48}
    assert await drained(redis)
