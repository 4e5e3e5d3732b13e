"""Upgrades while everything runs: the schema up and down under load, other contract versions."""

import asyncio
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from redis.asyncio import Redis

from contracts.streams import ENGINE_GROUP, REJECTED, RESPONSES
from tests.integration.ledger.next_schema import next_migrations
from tests.support.bad_entry_kinds import early
from tests.support.factories import changed
from tests.support.run_results import events_differences, run_results, stored_mastery
from tests.support.servers import Supabase, server_variables
from tests.support.whole_run import (
    MASTERY_COMMAND,
    Setting,
    Started,
    drain,
    event_of,
    publish,
    simulated_rows,
    start_worker,
)
from workers.ledger.schema.migrations import Migrations
from workers.ledger.schema.schema_files import migration_files
from workers.streams.leases.roster import ROSTER_KEY

BASE = migration_files()[-1].version
"""The newest schema: the next migration must let workers of the version before go on."""
_PATIENCE_S = 240.0
_BLOCK_US = 200_000_000_000
"""Longest time between two answers of `simulated_rows`, microseconds."""


async def _stored(dsn: str) -> int:
    connection = await asyncpg.connect(dsn)
    try:
        return int(await connection.fetchval("select count(*) from public.student_responses"))
    finally:
        await connection.close()


async def _drained(redis_url: str) -> None:
    """Return once nothing is unread and nothing pending."""
    deadline = time.monotonic() + _PATIENCE_S
    async with Redis.from_url(redis_url) as client:
        while True:
            groups: Any = await client.xinfo_groups(RESPONSES)
            (group,) = (g for g in groups if g["name"] == ENGINE_GROUP.encode())
            if group["lag"] == 0 and group["pending"] == 0:
                return
            assert time.monotonic() < deadline, group
            await asyncio.sleep(0.05)


async def _consuming(redis_url: str, workers: int) -> None:
    """Return once so many workers have announced themselves: they have all started."""
    deadline = time.monotonic() + _PATIENCE_S
    async with Redis.from_url(redis_url) as client:
        while True:
            announced: Any = client.hlen(ROSTER_KEY)
            if await announced >= workers:
                return
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)


class _Load:
    """Publishes rows without a pause, until it is ended."""

    def __init__(self, redis_url: str, rows: Iterator[dict[str, Any]]) -> None:
        self.published: list[dict[str, Any]] = []
        self._redis_url = redis_url
        self._rows = rows
        self._ended = asyncio.Event()
        self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        while not self._ended.is_set():
            some = list(islice(self._rows, 10))
            await publish(self._redis_url, some)
            self.published += some
            await asyncio.sleep(0.03)

    async def end(self) -> None:
        self._ended.set()
        await self._task


def _endless_rows() -> Iterator[dict[str, Any]]:
    """Make rows in the order of their answers, as many as are asked for."""
    for block in count():
        rows = simulated_rows(600, 60, seed=block)
        for row in rows:
            row["answered_at"] += block * _BLOCK_US
        yield from sorted(rows, key=lambda row: (row["answered_at"], row["response_id"]))


async def _goes_on(dsn: str, workers: "list[Started]", by: int = 40) -> None:
    """Return once so many more responses are stored, by workers that are all alive."""
    before = await _stored(dsn)
    deadline = time.monotonic() + _PATIENCE_S
    while await _stored(dsn) < before + by:
        assert [worker.poll() for worker in workers] == [None] * len(workers)
        assert time.monotonic() < deadline, "nothing was stored for a long time"
        await asyncio.sleep(0.05)


@pytest.fixture(params=["direct", "supabase"])
def setting(request: pytest.FixtureRequest, redis_url: str) -> Setting:
    if request.param == "direct":
        dsn = request.getfixturevalue("database_url")
        return Setting(redis_url, {"DATABASE_URL": dsn}, dsn)
    project: Supabase = request.getfixturevalue("supabase")
    return Setting(redis_url, project.environment, project.database_url)


def _stopped(worker: Started) -> int:
    worker.send_signal(signal.SIGTERM)
    return worker.wait(timeout=120)


def _start_earlier(setting: Setting) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-m", "tests.support.earlier_worker", "worker", "--role", "engine"],
        env=setting.environment(LOG_LEVEL="ERROR"),
    )


async def test_given_workers_of_the_version_before_when_migrated_then_they_go_on(
    setting: Setting, tmp_path: Path
) -> None:
    (server,) = server_variables("TEST_DATABASE_URL")
    migrations = Migrations(setting.dsn, files=await next_migrations(tmp_path, server))
    (next_version,) = await migrations.pending()
    workers: list[Started] = [_start_earlier(setting) for _ in range(2)]
    load = _Load(setting.redis_url, _endless_rows())
    try:
        await _consuming(setting.redis_url, len(workers))
        await _goes_on(setting.dsn, workers)
        assert await migrations.up() == [next_version]
        await _goes_on(setting.dsn, workers)
        assert await migrations.down() == [next_version]
        await _goes_on(setting.dsn, workers)
        for _ in range(3):
            # Without a pause in between, so that calls are under way when it happens.
            await migrations.up()
            await migrations.down(target=BASE)
        await migrations.up()
        await _goes_on(setting.dsn, workers)

        # One by one they are replaced.
        workers.append(start_worker(setting, "--role", "engine", LOG_LEVEL="ERROR"))
        await _consuming(setting.redis_url, len(workers))
        await _goes_on(setting.dsn, workers)
        assert [_stopped(worker) for worker in workers[:2]] == [0, 0]
        await _goes_on(setting.dsn, workers[2:])
        await load.end()
        await _drained(setting.redis_url)
        assert _stopped(workers[2]) == 0
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
        await load.end()

    rows = load.published
    result = await run_results(setting, rows, tolerance=1e-12)
    assert result.differences == []
    assert result.rejected == {}
    assert result.pending == 0
    assert events_differences(result, rows, await stored_mastery(setting.dsn)) == []
    verified = subprocess.run(
        [MASTERY_COMMAND, "verify"], env=setting.environment(), check=False, capture_output=True
    )
    assert verified.returncode == 0, verified.stdout.decode() + verified.stderr.decode()


async def test_given_no_schema_when_a_worker_starts_then_it_tells_the_remedy(
    redis_url: str, empty_database_url: str
) -> None:
    setting = Setting(redis_url, {"DATABASE_URL": empty_database_url}, empty_database_url)
    ended = subprocess.run(
        [MASTERY_COMMAND, "worker", "--role", "engine"],
        env=setting.environment(),
        check=False,
        capture_output=True,
        timeout=240,
    )
    assert ended.returncode == 1
    assert b"run `mastery migrate up`" in ended.stderr


def _in_versions(rows: list[dict[str, Any]]) -> list[bytes]:
    """The events of rows, in turn as publishers of the version before, of this and of a next."""
    made = []
    for number, row in enumerate(rows):
        event = json.loads(event_of(row, int(time.time())))
        if number % 3 == 0:
            event = early(event)
        if number % 3 == 1:
            event = changed(event, "type", "practice.response.recorded.v1.7")
            event["dataschema"] = "https://school.example/practice.response.recorded.v1.7.json"
            event["data"]["response"]["mood"] = {"of": ["a later minor version"]}
        made.append(json.dumps(event).encode())
    return made


async def test_given_publishers_of_three_versions_then_each_event_counts_once(
    redis_url: str, database_url: str
) -> None:
    setting = Setting(redis_url, {"DATABASE_URL": database_url}, database_url)
    # What the oldest version can say, so that each row is the same in all versions.
    rows = [
        row
        | {"concept_ids": row["concept_ids"][:1], "scale": "default", "score": round(row["score"])}
        for row in simulated_rows(900, 20, seed=10)
    ]
    again = [*rows[1:], rows[0]]
    differing = json.dumps(
        changed(
            early(json.loads(event_of(rows[5], int(time.time())))), "data.response.item_id", "x"
        )
    ).encode()
    async with Redis.from_url(redis_url) as client:
        for text in [*_in_versions(rows), *_in_versions(again), differing]:
            await client.xadd(RESPONSES, {"event": text})

    drain(setting, roles=("engine",))

    result = await run_results(setting, rows, tolerance=1e-12)
    assert result.differences == []
    assert result.pending == 0
    assert events_differences(result, rows, await stored_mastery(database_url)) == []
    assert result.rejected == {"conflict": 1}
    async with Redis.from_url(redis_url) as client:
        letters: Any = await client.xrange(REJECTED)
    ((_, fields),) = letters
    # What was published, not what it was read as.
    assert json.loads(fields[b"event"])["data"]["event"].encode() == differing
