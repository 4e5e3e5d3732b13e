"""SIGTERM under load: what is on its way is finished, and others go on with the rest."""

import asyncio
import signal

from redis.asyncio import Redis

from contracts.streams import ENGINE_GROUP, RESPONSES
from tests.faults.processes import until
from tests.faults.run import TOLERANCE, drained
from tests.faults.servers import PostgresServer
from tests.faults.stage import Size, Stage, set_stage
from tests.support.run_results import events_differences, run_results, stored_mastery
from workers.common.tasks import GRACE_S

_ENDED_S = GRACE_S + 30.0
"""Beside the grace time 5 s for HTTP, 2 s for the streams, and a slow machine's end of Python."""


async def _applied(stage: Stage, share: float) -> None:
    async def so_many() -> bool:
        counted = await stage.fleet.counted()
        return counted["mastery_responses_applied_total"] >= share * len(stage.load.rows)

    await until(so_many, f"{share:.0%} is applied\n{stage.fleet.tails()}", within_s=60)


async def _pending(stage: Stage, consumer: str) -> int:
    async with Redis.from_url(stage.redis.url) as client:
        found_ = await client.xpending_range(
            RESPONSES, ENGINE_GROUP, "-", "+", 10_000, consumername=consumer
        )
    return len(found_)


async def _all_is_right(stage: Stage) -> None:
    result = await run_results(stage.direct, stage.load.rows, TOLERANCE)
    assert result.differences == []
    assert result.rejected == {}
    assert result.pending == 0
    stored = await stored_mastery(stage.direct.dsn)
    assert events_differences(result, stage.load.rows, stored) == []


async def test_given_a_backlog_when_one_worker_stops_then_it_leaves_nothing(
    postgres_server: PostgresServer,
) -> None:
    async with set_stage(
        frozenset(),
        Size(responses=4_000, rate=4_000),
        settings={},
        fsync="everysec",
        postgres=postgres_server,
        neo4j=None,
    ) as stage:
        await stage.load.run()
        await stage.fleet.start()
        first, second = stage.fleet.workers
        await _applied(stage, 0.2)

        first.process.send_signal(signal.SIGTERM)
        code = await asyncio.to_thread(first.process.wait, timeout=_ENDED_S)

        assert code == 0
        assert await _pending(stage, first.name) == 0
        assert second.running
        stage.fleet.workers.remove(first)
        await drained(stage)
        assert await stage.fleet.stop() == [0]
        await _all_is_right(stage)


async def test_given_a_frozen_database_when_a_worker_has_to_end_then_it_does(
    postgres_server: PostgresServer,
) -> None:
    async with set_stage(
        frozenset(),
        Size(responses=2_000, rate=4_000, workers=1),
        settings={"LEDGER_TIMEOUT_S": "5"},
        fsync="everysec",
        postgres=postgres_server,
        neo4j=None,
    ) as stage:
        await stage.load.run()
        await stage.fleet.start()
        (first,) = stage.fleet.workers
        await _applied(stage, 0.2)

        stage.postgres.process.freeze()
        try:
            first.process.send_signal(signal.SIGTERM)
            code = await asyncio.to_thread(first.process.wait, timeout=_ENDED_S)
        finally:
            stage.postgres.process.thaw()

        assert code == 0
        stage.fleet.workers.remove(first)
        stage.fleet.add()
        await drained(stage)
        assert await stage.fleet.stop() == [0]
        await _all_is_right(stage)
