"""Tenants whose ids are all the same: together each gets what it gets alone."""

import json
import random
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import chain, zip_longest
from typing import Any, Final, NamedTuple

import asyncpg
from neo4j import AsyncGraphDatabase
from redis.asyncio import Redis

from contracts.streams import MASTERY, REJECTED, RESPONSES
from tests.security.in_process import drained, settings_of
from tests.support.factories import uuid_of
from tests.support.servers import Neo4j, fresh_database, server_variables
from tests.support.whole_run import Setting, event_of

# The last two would be one, were tenant and student put together with a separator.
_TENANTS: Final = ("school-7", "school-8", "school-7/a")
_STUDENTS: Final = ("ann", "bob", "a/b", "b")
_TABLES: Final = (
    "public.student_responses",
    "public.concept_mastery",
    "public.student_ability",
    "public.practice_sessions",
    "mastery.learners",
)
_OF_ARRIVAL: Final = frozenset({"version", "recorded_at", "entry", "checksum"})
"""Columns that tell when and where a response came in, not what it says."""

Row = dict[str, Any]


class Result(NamedTuple):
    """Result of a run for one tenant."""

    rows: list[str]
    events: list[str]
    graph: list[str]


def _rows(tenant: str, students: Sequence[str] = _STUDENTS) -> list[Row]:
    """Responses with the same ids in every tenant; what was answered differs."""
    chance = random.Random(tenant)
    start = datetime(2026, 3, 2, 8, tzinfo=UTC)
    return [
        {
            "tenant_id": tenant,
            "student_id": students[number % len(students)],
            # Of several students, and of all tenants, the same.
            "response_id": uuid_of("response", number // 2),
            "session_id": f"s-{number // 12}",
            "item_id": f"q-{number % 5}",
            "concept_ids": [f"c-{number % 3}", f"c-{3 + number % 2}"],
            "scale": "math",
            "score": chance.choice([0.0, 0.25, 1.0]),
            "answered_at": int((start + timedelta(minutes=number)).timestamp()) * 1_000_000,
        }
        for number in range(48)
    ]


async def _run(
    redis_url: str, neo4j: Neo4j, tenants: Sequence[str], batch_size: int
) -> dict[str, Result]:
    """Publish the tenants' responses in turn, drain them on empty servers, read what is left."""
    logs = [_rows(tenant) for tenant in tenants]
    (database,) = server_variables("TEST_DATABASE_URL")
    auth = (neo4j.username, neo4j.password)
    async with (
        Redis.from_url(redis_url) as redis,
        AsyncGraphDatabase.driver(neo4j.uri, auth=auth) as driver,
        fresh_database(database, migrated=True) as dsn,
    ):
        await redis.flushdb()
        await driver.execute_query("MATCH (n) DETACH DELETE n")
        issued_at = int(time.time())
        pipeline = redis.pipeline(transaction=False)
        for row in filter(None, chain.from_iterable(zip_longest(*logs))):
            pipeline.xadd(RESPONSES, {"event": event_of(row, issued_at)})
        await pipeline.execute()
        setting = Setting(redis_url, {"DATABASE_URL": dsn}, dsn, neo4j.environment)
        await drained(settings_of(setting.environment(BATCH_SIZE=str(batch_size))))
        assert await redis.xlen(REJECTED) == 0
        rows, events, graph = await _table_rows(dsn), await _events(redis), await _graph(driver)
    for kept in (rows, events, graph):
        assert {tenant for tenant, _ in kept} == {*tenants}
    return {
        tenant: Result(
            *(sorted(text for of, text in kept if of == tenant) for kept in (rows, events, graph))
        )
        for tenant in tenants
    }


async def _table_rows(dsn: str) -> list[tuple[str, str]]:
    connection = await asyncpg.connect(dsn)
    try:
        values = []
        for table in _TABLES:
            for row in await connection.fetch(f"table {table}"):
                kept = {name: value for name, value in row.items() if name not in _OF_ARRIVAL}
                if "outcome" in kept:
                    kept["outcome"] = _without_version(json.loads(kept["outcome"]))
                values.append((row["tenant_id"], f"{table} {sorted(kept.items())}"))
        return values
    finally:
        await connection.close()


async def _events(redis: "Redis") -> list[tuple[str, str]]:
    leaks = []
    entries: Any = await redis.xrange(MASTERY)
    for _, fields in entries:
        event = json.loads(fields[b"event"])
        del event["time"]
        tenant = event["data"]["tenant_id"]
        leaks.append((tenant, json.dumps(_without_version(event), sort_keys=True)))
    assert len({json.loads(text)["id"] for _, text in leaks}) == len(leaks)
    return leaks


async def _graph(driver: Any) -> list[tuple[str, str]]:
    answer: Any = await driver.execute_query(
        "MATCH (a)-[r]->(b) RETURN a.tenant_id, b.tenant_id, labels(a), a.id, type(r), labels(b), "
        "b.id, properties(r)"
    )
    rows = [tuple(record.values()) for record in answer.records]
    assert [row for row in rows if row[0] != row[1]] == []
    nodes: Any = await driver.execute_query("MATCH (n) RETURN n.tenant_id, labels(n), n.id")
    return [
        *(
            (tenant, repr((*rest, sorted(_without_version(properties).items()))))
            for tenant, _, *rest, properties in rows
        ),
        *((tenant, repr(rest)) for tenant, *rest in map(list, nodes.records)),
    ]


def _without_version(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_version(v) for k, v in value.items() if k != "version"}
    return [_without_version(member) for member in value] if isinstance(value, list) else value


async def test_given_tenants_with_the_same_ids_then_each_ends_as_if_it_ran_alone(
    redis_url: str, neo4j: Neo4j
) -> None:
    together = await _run(redis_url, neo4j, _TENANTS, batch_size=40)
    for tenant in _TENANTS:
        alone = await _run(redis_url, neo4j, [tenant], batch_size=40)
        assert together[tenant].rows == alone[tenant].rows
        assert together[tenant].events == alone[tenant].events
        assert together[tenant].graph == alone[tenant].graph
    # What was answered differs, or nobody would notice whose it is.
    assert len({repr(batch.events) for batch in together.values()}) == len(_TENANTS)
