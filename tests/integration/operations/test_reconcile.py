"""`mastery reconcile` on real servers: while a worker runs, and after Redis lost its data."""

import asyncio
import json
import random
import signal
import subprocess
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from redis.asyncio import Redis

from contracts.mastery import MasteryChanged
from contracts.streams import MASTERY
from tests.faults.servers import RedisServer, scratch
from tests.integration.graph.conftest import neo4j_graph
from tests.support.run_results import graph_differences, stored_mastery
from tests.support.servers import Neo4j, Supabase
from tests.support.whole_run import (
    MASTERY_COMMAND,
    Setting,
    drain,
    publish,
    simulated_rows,
    start_worker,
)
from workers.common.retrying import Retrying
from workers.common.times import to_us
from workers.graph.changes import GraphChange, MasteryChange, PractisedChange
from workers.graph.neo4j import Neo4jGraph
from workers.graph.repairs import Repair
from workers.ledger.sql.direct import DirectLedger
from workers.operations.reconciliation.publication import Publication
from workers.operations.repair.scope import Scope


@pytest.fixture
async def own_redis() -> AsyncIterator[str]:
    """A Redis of the test's own, which may be flushed."""
    with scratch() as directory:
        server = RedisServer(directory / "redis")
        await server.start()
        try:
            yield server.url
        finally:
            server.process.stop()


@pytest.fixture
async def graph(neo4j: Neo4j) -> AsyncIterator[Neo4jGraph]:
    opened = neo4j_graph(neo4j)
    await opened.prepare()
    try:
        yield opened
    finally:
        await opened.close()


async def reconcile(setting: Setting, *arguments: str, status: int = 0) -> dict[str, Any]:
    """Run the command; its report."""
    process = await asyncio.create_subprocess_exec(
        MASTERY_COMMAND,
        "reconcile",
        "--json",
        *arguments,
        env=setting.environment(),
        stdout=subprocess.PIPE,
    )
    out, _ = await process.communicate()
    assert process.returncode == status, out.decode()
    document: dict[str, Any] = json.loads(out)
    return document


async def newest_events(redis_url: str) -> tuple[dict[tuple[str, str, str], Any], list[str]]:
    """Read as a new subscriber: the newest values, and the ids of all events."""
    newest: dict[tuple[str, str, str], Any] = {}
    ids = []
    async with Redis.from_url(redis_url) as client:
        entries: Any = await client.xrange(MASTERY)
    for _, fields in entries:
        event = MasteryChanged.model_validate_json(fields[b"event"])
        data = event.data
        key = (data.tenant_id, data.student_id, data.concept_id)
        ids.append(event.id)
        if key not in newest or newest[key].version < data.version:
            newest[key] = data
    return newest, ids


def values(newest: dict[tuple[str, str, str], Any]) -> dict[tuple[str, str, str], Any]:
    return {
        key: (d.mastery, d.attempts, d.mastered, to_us(d.last_answered_at), d.version)
        for key, d in newest.items()
    }


async def flush(redis_url: str) -> None:
    async with Redis.from_url(redis_url) as client:
        await client.flushall()


async def execute(dsn: str, *statements: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


async def damage(graph: Neo4jGraph, seed: int) -> int:
    """Alter, delete, put ahead and add relationships; how many."""
    draw = random.Random(seed)
    learners = await graph.stored(limit=10_000)
    chosen = draw.sample([change for learner in learners for change in learner.mastery], 40)
    abilities = draw.sample([ability for learner in learners for ability in learner.abilities], 10)
    altered: list[GraphChange] = [
        *(change._replace(mastery=change.mastery / 2) for change in chosen[:10]),
        *(
            change._replace(version=change.version + 10**6, attempts=9_999)
            for change in chosen[10:25]
        ),
        *(ability._replace(theta=ability.theta + 1e-9) for ability in abilities),
    ]
    strays: list[GraphChange] = [
        MasteryChange("school-1", "nobody", "c-1", 0.5, 1, False, datetime.now(UTC), 7),
        MasteryChange(*learners[0].key, "never", 0.5, 1, False, datetime.now(UTC), 7),
        PractisedChange(learners[0].key.tenant_id, "never", "c-1"),
    ]
    await graph.repair(Repair([*chosen, *abilities], [*altered, *strays]))
    return len(chosen) + len(abilities) + len(strays)


async def test_given_a_damaged_graph_over_supabase_then_reconcile_repairs_it(
    redis_url: str, supabase: Supabase, neo4j: Neo4j, graph: Neo4jGraph
) -> None:
    setting = Setting(redis_url, supabase.environment, supabase.database_url, neo4j.environment)
    await publish(redis_url, simulated_rows(600, 30))
    drain(setting)
    damaged = await damage(graph, seed=1)

    looked = await reconcile(setting, "--dry-run", "--show", "1000", status=1)
    # Of the student and the session of nobody the nodes go too, once nothing is tied to them.
    assert looked["different"] == damaged
    assert {difference["kind"] for difference in looked["shown"]} == {
        "altered",
        "missing",
        "ahead",
        "stray",
    }
    repaired = await reconcile(setting)

    assert (repaired["finished"], repaired["left"], repaired["cursor"]) == (True, [], None)
    assert repaired["kinds"] == {**looked["kinds"], "node": 2}
    assert await graph_differences(setting) == []
    assert (await reconcile(setting, "--dry-run"))["different"] == 0


async def test_given_a_busy_worker_when_reconciled_meanwhile_then_all_agree(
    redis_url: str, database_url: str, neo4j: Neo4j, graph: Neo4jGraph
) -> None:
    setting = Setting(redis_url, {"DATABASE_URL": database_url}, database_url, neo4j.environment)
    rows = simulated_rows(2_400, 40, seed=2)
    await publish(redis_url, rows[:600])
    drain(setting)
    await damage(graph, seed=2)
    worker = start_worker(setting, BATCH_SIZE="20")
    try:
        load = asyncio.create_task(_trickle(redis_url, rows[600:]))
        runs = 0
        while not load.done() or runs < 2:
            assert (await reconcile(setting))["left"] == []
            runs += 1
        await load
    finally:
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(timeout=30) == 0
    drain(setting)

    assert await graph_differences(setting) == []


async def _trickle(redis_url: str, rows: list[dict[str, Any]]) -> None:
    for first in range(0, len(rows), 60):
        await publish(redis_url, rows[first : first + 60])
        await asyncio.sleep(0.15)


async def test_given_redis_flushed_before_the_projector_then_all_know_the_ledger(
    own_redis: str, database_url: str, neo4j: Neo4j
) -> None:
    setting = Setting(own_redis, {"DATABASE_URL": database_url}, database_url, neo4j.environment)
    rows = simulated_rows(900, 30, seed=3)
    await publish(own_redis, rows[:600])
    drain(setting)
    # Of what comes now the graph hears nothing: commits are there, events are gone.
    await publish(own_redis, rows[600:])
    drain(setting, roles=["engine"])
    _, before = await newest_events(own_redis)
    await flush(own_redis)
    assert await graph_differences(setting) != []

    ledger = DirectLedger(database_url)
    try:
        async with Redis.from_url(own_redis) as client:
            since_us = await ledger.clock_us() - 3_600_000_000
            publication = Publication(
                ledger=ledger,
                client=client,
                shard_count=0,
                retrying=Retrying(),
                scope=Scope(),
                dry_run=False,
            )
            pages = [page async for page in publication.run(since_us)]
    finally:
        await ledger.close()
    newest, ids = await newest_events(own_redis)

    assert values(newest) == await stored_mastery(database_url)
    assert len(ids) == sum(page.events for page in pages) < len(before)
    assert set(ids) <= set(before), "subscribers recognise a repeat"
    drain(setting, roles=["graph"])
    assert await graph_differences(setting) == []


async def test_given_rows_rewritten_and_redis_flushed_then_all_know_the_ledger(
    own_redis: str, database_url: str, neo4j: Neo4j
) -> None:
    setting = Setting(own_redis, {"DATABASE_URL": database_url}, database_url, neo4j.environment)
    await publish(own_redis, simulated_rows(300, 10, seed=4))
    drain(setting)
    _, before = await newest_events(own_redis)
    # As a rebuild does: a version that no response has; half of the learners recorded long ago.
    await execute(
        database_url,
        "update concept_mastery set mastery = mastery / 2, "
        "version = nextval('mastery.learner_version') where concept_id = 'c-1'",
        "update student_responses set recorded_at = recorded_at - interval '2 days' "
        "where tenant_id = 'school-0'",
    )
    await flush(own_redis)
    since = (datetime.now(UTC) - timedelta(hours=30)).isoformat()

    counted = await reconcile(setting, "--publish", "--since", "30h", "--dry-run", status=1)
    assert await newest_events(own_redis) == ({}, [])
    done = await reconcile(setting, "--publish", "--since", since)

    newest, ids = await newest_events(own_redis)
    ledger = await stored_mastery(database_url)
    assert values(newest) == {k: v for k, v in ledger.items() if k[0] != "school-0"}
    assert {k for k in newest if k[2] == "c-1"}
    new = {d.version for k, d in newest.items() if k[2] == "c-1"}
    assert len(set(ids) - set(before)) == len(new)
    assert counted["published"] == done["published"]
    assert done["published"]["events"] == len(ids) == len(set(ids))
    assert await graph_differences(setting) == []
