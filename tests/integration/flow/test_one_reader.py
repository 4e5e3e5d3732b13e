"""Several workers on the same streams: each stream has one reader, and nothing is lost."""

import asyncio
import json
import random
import signal
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import asyncpg
import httpx
import pytest
from redis.asyncio import Redis

from contracts.streams import ENGINE_GROUP, MASTERY, REJECTED, RESPONSES, Shard, shards
from tests.faults.processes import free_port, until
from tests.security.in_process import command, drained, settings_of
from tests.support.parameters_documents import CALIBRATED
from tests.support.run_results import events_differences, run_results, stored_mastery
from tests.support.whole_run import Setting, publish, simulated_rows, start_worker
from workers.app.worker import Role, running_worker
from workers.ledger.sql.direct import DirectLedger
from workers.streams.leases import readers
from workers.streams.leases.lease import Lease, lease_key
from workers.streams.leases.roster import ROSTER_KEY
from workers.streams.old_shards import undrained

_START_S: Final = 120.0
_DRAINED_S: Final = 240.0
_HANDED_OVER_S: Final = 5.0
_NEVER_MS: Final = "600000"
_TOLERANCE: Final = 1e-12


@pytest.fixture
def setting(redis_url: str, database_url: str) -> Setting:
    return Setting(redis_url, {"DATABASE_URL": database_url}, database_url)


class Crew:
    """Worker processes of role engine, by their names."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self.running: dict[str, Any] = {}

    def start(self, name: str, *arguments: str, **settings: str) -> None:
        self.running[name] = start_worker(
            self._setting,
            *("--role", "engine", *arguments),
            CONSUMER_NAME=name,
            RECLAIM_AFTER_MS=_NEVER_MS,
            **settings,
        )

    def kill(self, name: str) -> None:
        worker = self.running.pop(name)
        worker.kill()
        worker.wait()

    async def end(self, name: str) -> None:
        worker = self.running.pop(name)
        worker.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(worker.wait, 60) == 0


@pytest.fixture
def crew(setting: Setting) -> Iterator[Crew]:
    started = Crew(setting)
    yield started
    for name in list(started.running):
        started.kill(name)


async def _holder(client: Redis, stream: str = RESPONSES) -> str:
    token: Any = await client.get(lease_key(stream))
    return "" if token is None else token.decode()


async def _held_by(client: Redis, name: str, stream: str = RESPONSES, *, within_s: float) -> float:
    async def held() -> bool:
        return await _holder(client, stream) == name

    return await until(held, f"{name} reads {stream}", within_s=within_s)


async def _drained(client: Redis, among: Sequence[Shard] = shards(0)) -> None:
    async def done() -> bool:
        return not await undrained(client, [one.responses for one in among], ENGINE_GROUP)

    await until(done, "the streams are drained", within_s=_DRAINED_S)


async def _all_is_right(
    setting: Setting, rows: list[dict[str, Any]], among: Sequence[Shard] = shards(0)
) -> None:
    result = await run_results(setting, rows, _TOLERANCE, among)
    assert result.differences == []
    assert result.pending == 0
    assert result.rejected == {}
    assert events_differences(result, rows, await stored_mastery(setting.dsn)) == []


def _in_order(count: int, students: int, seed: int) -> list[dict[str, Any]]:
    return sorted(
        simulated_rows(count, students, seed), key=lambda r: (r["answered_at"], r["response_id"])
    )


async def test_given_the_holder_is_killed_then_the_standby_takes_what_is_pending(
    setting: Setting, crew: Crew
) -> None:
    rows = _in_order(3_000, 60, seed=31)
    async with Redis.from_url(setting.redis_url) as client:
        crew.start("a", BATCH_SIZE="50")
        await _held_by(client, "a", within_s=_START_S)
        port = free_port()
        crew.start("b", BATCH_SIZE="50", HTTP_PORT=str(port))
        await _standing_by(port)
        await publish(setting.redis_url, rows)

        async def left_something() -> bool:
            info: Any = await client.xpending(RESPONSES, ENGINE_GROUP)
            return bool(info["pending"] > 50)

        await until(left_something, "a has entries in flight", within_s=30, every_s=0.005)
        crew.kill("a")
        await _held_by(client, "b", within_s=_HANDED_OVER_S)
        await _drained(client)
    await _all_is_right(setting, rows)


async def _standing_by(port: int) -> None:
    async def standby() -> bool:
        try:
            async with httpx.AsyncClient() as http:
                answer = await http.get(f"http://127.0.0.1:{port}/health/ready")
        except httpx.TransportError:
            return False
        part = answer.json()["checks"]["consumer"]
        return answer.status_code == 200 and part.get("note", "") == (
            f"standby: other workers read {RESPONSES}"
        )

    await until(standby, "the worker stands by", within_s=_START_S)


async def test_given_the_holder_ends_in_order_then_the_standby_reads_at_once(
    setting: Setting, crew: Crew
) -> None:
    rows = _in_order(1_500, 40, seed=32)
    async with Redis.from_url(setting.redis_url) as client:
        crew.start("a", BATCH_SIZE="50")
        await _held_by(client, "a", within_s=_START_S)
        port = free_port()
        crew.start("b", BATCH_SIZE="50", HTTP_PORT=str(port))
        await _standing_by(port)
        await publish(setting.redis_url, rows)
        await crew.end("a")
        await _held_by(client, "b", within_s=1)
        await _drained(client)
    await _all_is_right(setting, rows)


async def test_given_a_burst_on_a_standby_then_it_ends_once_all_is_drained(
    setting: Setting, crew: Crew
) -> None:
    rows = _in_order(1_500, 40, seed=33)
    async with Redis.from_url(setting.redis_url) as client:
        crew.start("a", BATCH_SIZE="50")
        await _held_by(client, "a", within_s=_START_S)
        await publish(setting.redis_url, rows)
        await drained(settings_of(setting.environment()), [Role.ENGINE])
        assert not await undrained(client, [RESPONSES], ENGINE_GROUP)
        assert await _holder(client) == "a"
    await _all_is_right(setting, rows)


async def test_given_0_then_2_then_3_shards_while_publishing_then_all_count_once(
    setting: Setting, crew: Crew
) -> None:
    rows = _in_order(2_400, 60, seed=34)
    thirds = [rows[:800], rows[800:1_600], rows[1_600:]]
    among = list(dict.fromkeys([*shards(0), *shards(2), *shards(3)]))
    async with Redis.from_url(setting.redis_url) as client:
        for name in ("a", "b"):
            crew.start(name, BATCH_SIZE="50")
        for part, count in zip(thirds, (0, 2, 3), strict=True):
            # Publishers change first, and workers one after the other.
            publishing = asyncio.create_task(_slowly(setting.redis_url, part, count))
            for name in ("a", "b"):
                await _joined(client, name)
                await crew.end(name)
                crew.start(name, BATCH_SIZE="50", STREAM_SHARDS=str(count))
            await publishing
        await _drained(client, among)
    await _all_is_right(setting, rows, among)


async def _joined(client: Redis, name: str) -> None:
    async def joined() -> bool:
        return bool(await client.hexists(ROSTER_KEY, name))

    await until(joined, f"{name} works", within_s=_START_S)


async def _slowly(redis_url: str, rows: list[dict[str, Any]], count: int) -> None:
    for start in range(0, len(rows), 100):
        await publish(redis_url, rows[start : start + 100], shard_count=count)
        await asyncio.sleep(0.1)


@asynccontextmanager
async def _lawless(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[list[Any]]:
    """Run two workers that both read the plain stream, as if there were no leases."""

    async def yes(_: Lease) -> bool:
        return True

    monkeypatch.setattr(Lease, "acquire", yes)
    monkeypatch.setattr(Lease, "extend", yes)
    monkeypatch.setattr(Lease, "release", yes)
    monkeypatch.setattr(readers, "share", lambda streams, *_: streams)
    settings = settings_of(setting.environment(BATCH_SIZE="50"))
    async with (
        running_worker(settings, [Role.ENGINE], http=False) as (one, _),
        running_worker(settings, [Role.ENGINE], http=False) as (other, _),
    ):
        yield [one, other]


async def test_given_two_readers_forced_on_one_shard_then_state_equals_replay(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = simulated_rows(1_500, 20, seed=35)
    published = rows + random.Random(36).sample(rows, 450)
    random.Random(37).shuffle(published)
    erased = rows[0]
    ledger = DirectLedger(setting.dsn)
    try:
        version = await ledger.store("bkt", CALIBRATED, {}, "")
        await publish(setting.redis_url, published)
        async with _lawless(setting, monkeypatch) as both:
            running = [asyncio.create_task(one.run(burst=True)) for one in both]
            await _applied(setting.dsn, 300)
            assert all(one.reading == [RESPONSES] for one in both)
            await ledger.activate(version, "on the way")
            await _applied(setting.dsn, 600)
            who = [erased["student_id"], f"--tenant={erased['tenant_id']}"]
            await asyncio.to_thread(
                command, setting.environment(), "learner", "erase", *who, "--yes"
            )
            await asyncio.gather(*running)
    finally:
        await ledger.close()
    await asyncio.to_thread(command, setting.environment(), "verify")
    connection = await asyncpg.connect(setting.dsn)
    stored = await connection.fetch(
        "select tenant_id, student_id, response_id::text as id from public.student_responses"
    )
    await connection.close()
    gone = (erased["tenant_id"], erased["student_id"])
    others = {r["response_id"] for r in rows if (r["tenant_id"], r["student_id"]) != gone}
    kept = {row["id"] for row in stored if (row["tenant_id"], row["student_id"]) != gone}
    assert kept == others
    async with Redis.from_url(setting.redis_url) as client:
        assert not await undrained(client, [RESPONSES], ENGINE_GROUP)
        assert await client.xlen(REJECTED) == 0
        told: Any = await client.xrange(MASTERY)
    ids = [json.loads(fields[b"event"])["id"] for _, fields in told]
    assert len(ids) == len(set(ids)) >= len(others)


async def _applied(dsn: str, count: int) -> None:
    connection = await asyncpg.connect(dsn)

    async def so_many() -> bool:
        query = "select count(*) from public.student_responses"
        return bool(await connection.fetchval(query) >= count)

    try:
        await until(so_many, f"{count} are applied", within_s=_DRAINED_S)
    finally:
        await connection.close()
