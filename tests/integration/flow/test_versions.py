"""Another version of the parameters while everything runs, on real servers, and back again."""

import asyncio
import json
import time
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, Final

import asyncpg
import pytest
from redis.asyncio import Redis

from contracts.streams import ENGINE_GROUP, EVENT_FIELD, shard_of, shards
from tests.support import whole_run
from tests.support.factories import learner_log
from tests.support.ledger_steps import record
from tests.support.parameters_documents import CALIBRATED, NEWER, OTHER
from tests.support.whole_run import MASTERY_COMMAND, Setting, Started, event_of, simulated_rows
from workers.common.retrying import Retrying
from workers.estimation.learner import LearnerKey
from workers.ledger.parameter_versions import ParametersSource
from workers.ledger.sql.direct import DirectLedger
from workers.metrics.engine_metrics import EngineMetrics
from workers.operations.repair.background_replay import Replayer
from workers.operations.repair.verifying import verify

# ruff: noqa: S608  # the tables' names are this file's
_PATIENCE_S: Final = 240.0
_SHARDS: Final = 2


async def until(holds: Callable[[], Awaitable[bool]], what: str) -> None:
    """Return once it holds."""
    deadline = time.monotonic() + _PATIENCE_S
    while not await holds():
        assert time.monotonic() < deadline, what
        await asyncio.sleep(0.05)


async def publish(redis_url: str, rows: list[dict[str, Any]]) -> None:
    """Add the event of each row to its shard."""
    issued_at = int(time.time())
    async with Redis.from_url(redis_url) as client:
        pipeline = client.pipeline(transaction=False)
        for row in rows:
            shard = shards(_SHARDS)[shard_of(row["tenant_id"], row["student_id"], _SHARDS)]
            pipeline.xadd(shard.responses, {EVENT_FIELD: event_of(row, issued_at)})
        await pipeline.execute()


async def events(redis_url: str) -> list[dict[str, Any]]:
    """All mastery events of all shards, in the order of their streams."""
    published = []
    async with Redis.from_url(redis_url) as client:
        for shard in shards(_SHARDS):
            entries: Any = await client.xrange(shard.mastery)
            published += [json.loads(fields[b"event"]) for _, fields in entries]
    return published


async def settled(redis_url: str, dsn: str, ledger: DirectLedger) -> None:
    """Return once nothing is pending or unread, nobody is outdated, and everything is told."""

    async def drained() -> bool:
        async with Redis.from_url(redis_url) as client:
            for shard in shards(_SHARDS):
                groups: Any = await client.xinfo_groups(shard.responses)
                (group,) = (info for info in groups if info["name"] == ENGINE_GROUP.encode())
                if group["pending"] or group["lag"]:
                    return False
        return await ledger.outdated_count() == 0 and not await _count(dsn, "mastery.untold")

    await until(drained, "something is left")


class Workers:
    """Worker processes, whose logs are kept."""

    def __init__(self, setting: Setting, logs: Path) -> None:
        self._setting = setting
        self._logs = logs
        self._log_of: dict[int, Path] = {}
        self.running: list[Started] = []

    def start(self, *roles: str) -> Started:
        arguments = [part for role in roles for part in ("--role", role)]
        path = self._logs / f"{uuid.uuid4()}"
        with path.open("wb") as log:
            worker = whole_run.execute(
                [MASTERY_COMMAND, "worker", *arguments],
                self._setting.environment(
                    STREAM_SHARDS=str(_SHARDS), LOG_LEVEL="INFO", LOG_FORMAT="json"
                ),
                log,
            )
        self.running.append(worker)
        self._log_of[worker.pid] = path
        return worker

    def kill(self, number: int) -> None:
        worker = self.running.pop(number)
        worker.kill()
        worker.wait()

    def log(self, worker: Started) -> str:
        return self._log_of[worker.pid].read_text()

    def end(self) -> None:
        for worker in self.running:
            worker.kill()
            worker.wait()


@pytest.fixture
def workers(redis_url: str, database_url: str, tmp_path: Path) -> Iterator[Workers]:
    started = Workers(Setting(redis_url, {"DATABASE_URL": database_url}, database_url), tmp_path)
    yield started
    started.end()


async def test_given_versions_changing_in_the_flow_then_the_active_one_rules_all(
    redis_url: str, database_url: str, workers: Workers
) -> None:
    rows = simulated_rows(750, 60, seed=7)
    idle = [
        {**row, "student_id": f"idle-{row['student_id']}"}
        for row in simulated_rows(120, 30, seed=8)
    ]
    ledger = DirectLedger(database_url)
    try:
        first = await ledger.store("bkt", CALIBRATED, {}, "")
        await publish(redis_url, idle)
        workers.start("engine")
        workers.start("engine", "jobs")

        async def stored(count: int) -> None:
            async def enough() -> bool:
                assert [process.poll() for process in workers.running] == [None, None]
                return await _count(database_url, "public.student_responses") >= count

            await until(enough, f"not {count} responses are stored")

        await stored(len(idle))
        # Some notice it with a batch, some by themselves, and those who don't answer are replayed.
        for part, version in enumerate((None, first, 1, first)):
            if version is not None:
                await ledger.activate(version, f"change {part}")
            await publish(redis_url, rows[150 * part : 150 * (part + 1)])
            if part == 1:
                workers.kill(0)
                workers.start("engine")
            await stored(len(idle) + 150 * part + 50)
        await settled(redis_url, database_url, ledger)
        await assert_all_under(database_url, ledger, first)
        await assert_told_once(redis_url, database_url, rows[:600] + idle)

        await ledger.activate(1, "no, it was not better")
        await publish(redis_url, rows[600:])
        await stored(len(idle) + len(rows))
        await settled(redis_url, database_url, ledger)
        await assert_all_under(database_url, ledger, 1)
        await assert_told_once(redis_url, database_url, rows + idle)

        # What they can't read they don't guess.
        second = await ledger.store("newer", NEWER, {}, "")
        await ledger.activate(second, "too early")

        async def ended() -> bool:
            return None not in [process.poll() for process in workers.running]

        await until(ended, "a worker goes on")
        for worker in workers.running:
            assert worker.returncode == 1
            said = workers.log(worker)
            assert f"version {second} of the parameters can't be read" in said
            assert "upgrade it, or activate another version" in said
        # Nor do they begin.
        late = workers.start("engine")
        assert late.wait(_PATIENCE_S) == 1
        assert "of_a_newer_engine" in workers.log(late)
    finally:
        await ledger.close()


async def _count(dsn: str, table: str) -> int:
    connection = await asyncpg.connect(dsn)
    try:
        return int(await connection.fetchval(f"select count(*) from {table}"))
    finally:
        await connection.close()


async def assert_all_under(dsn: str, ledger: DirectLedger, version: int) -> None:
    """Every row says that it is of this version, and is what a replay under it gives."""
    connection = await asyncpg.connect(dsn)
    try:
        for table in ("mastery.learners", "public.concept_mastery", "public.student_ability"):
            said = await connection.fetch(f"select distinct parameters_version from {table}")
            assert [row[0] for row in said] == [version], table
    finally:
        await connection.close()
    source = ParametersSource(ledger, 0.95)
    await source.refresh()
    pages = [page async for page in verify(ledger, source)]
    assert [difference for page in pages for difference in page.differences] == []
    assert sum(page.outdated for page in pages) == 0
    assert sum(page.learners for page in pages) > 60


async def assert_told_once(redis_url: str, dsn: str, rows: list[dict[str, Any]]) -> None:
    """Each response's events are published once, and the newest of a concept is what is stored.

    What a replay has to tell may be told again, by its id, where the teller was killed.
    """
    published = await events(redis_url)
    of_responses = Counter(
        (event["data"]["response_id"], event["data"]["concept_id"])
        for event in published
        if "cause" not in event["data"]
    )
    wanted = {(row["response_id"], concept) for row in rows for concept in row["concept_ids"]}
    assert wanted <= of_responses.keys()
    assert max(of_responses.values()) == 1
    causes = {event["data"].get("cause") for event in published}
    assert causes == {None, "parameters"}

    newest: dict[tuple[str, ...], Any] = {}
    for data in (event["data"] for event in published):
        key = (data["tenant_id"], data["student_id"], data["concept_id"])
        if key not in newest or newest[key]["version"] < data["version"]:
            newest[key] = data
    connection = await asyncpg.connect(dsn)
    try:
        stored = await connection.fetch("select * from public.concept_mastery")
    finally:
        await connection.close()
    for row in stored:
        told = newest.pop((row["tenant_id"], row["student_id"], row["concept_id"]))
        assert (told["version"], told["mastery"]) == (row["version"], row["mastery"])
        assert (told["mastered"], told["attempts"]) == (row["mastered"], row["attempts"])
    assert newest == {}


async def test_given_a_replay_when_its_workers_are_killed_then_others_finish_it(
    database_url: str,
) -> None:
    keys = [LearnerKey("t", f"s{number:03}") for number in range(150)]
    ledgers = [DirectLedger(database_url) for _ in range(3)]
    try:
        for number, key in enumerate(keys):
            await record(ledgers[0], key, learner_log(8, seed=number))
        version = await ledgers[0].store("bkt", OTHER, {}, "")
        await ledgers[0].activate(version, "better")

        async def left() -> int:
            return await ledgers[0].outdated_count()

        killed = [
            asyncio.create_task(_replayer(other_ledger).replay()) for other_ledger in ledgers[1:]
        ]

        async def begun() -> bool:
            return await left() < len(keys)

        await until(begun, "nothing is replayed")
        for task in killed:
            task.cancel()
        await asyncio.gather(*killed, return_exceptions=True)
        before = await left()
        assert before > 0, "it was too fast to be killed"

        # Back again while learners are under both, by two workers at once.
        await ledgers[0].activate(1, "back")
        under_new = await left()
        assert under_new == len(keys) - before
        done = await asyncio.gather(
            *(_replayer(other_ledger).replay() for other_ledger in ledgers[1:])
        )
        assert sum(done) == under_new
        await assert_all_under(database_url, ledgers[0], 1)
    finally:
        for ledger in ledgers:
            await ledger.close()


def _replayer(ledger: DirectLedger) -> Replayer:
    return Replayer(
        ledger=ledger,
        versions=ParametersSource(ledger, 0.95),
        meter=EngineMetrics("0"),
        retrying=Retrying(),
    )
