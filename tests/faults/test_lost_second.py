"""Redis loses its last second: what is lost, and that nothing of it is ever wrong."""

import asyncio
import time
from collections.abc import Iterable
from typing import Any

import asyncpg
from redis.asyncio import Redis

from contracts.streams import RESPONSES
from tests.faults.processes import until
from tests.faults.run import TOLERANCE, drained
from tests.faults.servers import PostgresServer
from tests.faults.stage import Need, Size, Stage, set_stage
from tests.support.run_results import run_results


async def _owners(dsn: str) -> dict[tuple[str, str], tuple[str, list[str]]]:
    """Read the owner entry and the concepts of logged responses."""
    connection = await asyncpg.connect(dsn)
    try:
        rows = await connection.fetch(
            "select student_id, response_id::text as id, entry, concept_ids "
            "from public.student_responses"
        )
    finally:
        await connection.close()
    return {
        (r["student_id"], r["id"]): (r["entry"].rpartition("/")[2], r["concept_ids"]) for r in rows
    }


async def _sizes(stage: Stage, sizes: list[tuple[float, int]]) -> None:
    while True:
        sizes.append((time.monotonic(), stage.redis.written()))
        await asyncio.sleep(0.02)


def _a_second_ago(sizes: Iterable[tuple[float, int]]) -> int:
    """Length of the file at that time, which a disk certainly has."""
    limit = time.monotonic() - 1.0
    return max(size for at, size in sizes if at <= limit)


async def test_given_everysec_when_power_fails_then_republishing_heals_the_state(
    postgres_server: PostgresServer,
) -> None:
    size = Size(responses=2_500, rate=500)
    async with set_stage(
        frozenset({Need.REDIS_LINE}),
        size,
        settings={},
        fsync="everysec",
        postgres=postgres_server,
        neo4j=None,
    ) as stage:
        await stage.fleet.start()
        sizes: list[tuple[float, int]] = []
        watching = asyncio.create_task(_sizes(stage, sizes))
        publishing = asyncio.create_task(stage.load.run())

        async def half() -> bool:
            return stage.load.added >= 0.4 * len(stage.load.entries)

        await until(half, "four tenths are published", within_s=60)
        watching.cancel()
        stage.redis.process.kill()
        killed_ms = time.time() * 1000
        length = _a_second_ago(sizes)
        assert length < stage.redis.written()
        committed = await _owners(stage.direct.dsn)
        await stage.line.refuse()
        stage.redis.lose(length)
        await stage.redis.start()
        async with Redis.from_url(stage.redis.url) as client:
            entries: Any = await client.xrange(RESPONSES)
            survived = {entry_id.decode() for entry_id, _ in entries}
            assert await client.xinfo_groups(RESPONSES)
        lost = {entry for entry, _ in committed.values()} - survived
        assert lost, "nothing that was committed was lost: the run shows nothing"
        await stage.line.accept()
        await publishing
        await drained(stage)

        await stage.load.again()
        await drained(stage)
        assert await stage.fleet.stop() == [0] * size.workers

        result = await run_results(stage.direct, stage.load.rows, TOLERANCE)
        assert result.differences == []
        assert result.rejected == {}
        assert result.pending == 0
        wrong = []
        for (student, response), (entry, concepts) in (await _owners(stage.direct.dsn)).items():
            kept = entry in survived or int(entry.partition("-")[0]) > killed_ms
            for concept in concepts:
                times = result.events[student, response, concept]
                if times != 1 and (kept or times > 1):
                    wrong.append((entry, times, kept))
        assert wrong == []
