"""All servers of a run, and a dump of everything that they hold."""

import asyncio
import json
import time
from typing import Any

import asyncpg
from neo4j import AsyncGraphDatabase
from redis.asyncio import Redis
from typer.testing import CliRunner

from contracts.streams import ENGINE_GROUP, GRAPH_GROUP, JOBS, JOBS_GROUP, MASTERY, RESPONSES
from tests.support.servers import Neo4j
from tests.support.whole_run import Setting
from workers.cli.main import app

GROUPS = ((RESPONSES, ENGINE_GROUP), (MASTERY, GRAPH_GROUP), (JOBS, JOBS_GROUP))
_PATIENCE_S = 60.0


class Books:
    """All servers of a run, and everything that they hold."""

    def __init__(self, setting: Setting, neo4j: Neo4j) -> None:
        self.setting = setting
        self._neo4j = neo4j

    async def publish(self, *events: bytes, stream: str = RESPONSES) -> None:
        async with Redis.from_url(self.setting.redis_url) as client:
            for text in events:
                await client.xadd(stream, {"event": text})

    async def command(self, *arguments: str) -> str:
        """Run `mastery` within this process, beside whatever runs here; returns what it prints."""
        environment: dict[str, str | None] = {**self.setting.environment()}
        done = await asyncio.to_thread(
            CliRunner().invoke, app, [*arguments], env=environment, catch_exceptions=False
        )
        assert done.exit_code == 0, done.output
        return done.stdout

    async def drained(self) -> None:
        """Return once no group of ours has anything unread or pending."""
        deadline = time.monotonic() + _PATIENCE_S
        async with Redis.from_url(self.setting.redis_url) as client:
            while True:
                left = []
                for stream, name in GROUPS:
                    if not await client.exists(stream):
                        continue
                    groups: Any = await client.xinfo_groups(stream)
                    left += [
                        group["pending"]
                        or await client.xrange(
                            stream, min=f"({group['last-delivered-id'].decode()}", count=1
                        )
                        for group in groups
                        if group["name"] == name.encode()
                    ]
                if len(left) == len(GROUPS) and not any(left):
                    return
                assert time.monotonic() < deadline, left
                await asyncio.sleep(0.05)

    async def dump(self) -> str:
        """All of Redis, of the database and of the graph as text."""
        async with Redis.from_url(self.setting.redis_url) as client:
            keys = [_shown(await _value(client, key)) async for key in client.scan_iter()]
        connection = await asyncpg.connect(self.setting.dsn)
        try:
            tables = await connection.fetch(
                "select c.oid::regclass::text as name from pg_class c where c.relkind = 'r' and "
                "c.relnamespace::regnamespace::text not in ('pg_catalog', 'information_schema')"
            )
            lines = [
                row["line"]
                for table in tables
                for row in await connection.fetch(f"select t::text as line from {table['name']} t")  # noqa: S608  # names of the catalogue
            ]
            rows = [json.loads(line["j"]) for line in await connection.fetch(_TEXTS)]
        finally:
            await connection.close()
        return "\n".join([*keys, *lines, _shown(rows), *await self._graph()])

    async def _graph(self) -> list[str]:
        auth = (self._neo4j.username, self._neo4j.password)
        async with (
            AsyncGraphDatabase.driver(self._neo4j.uri, auth=auth) as driver,
            driver.session() as session,
        ):
            nodes = await (
                await session.run("MATCH (n) RETURN labels(n) AS l, properties(n) AS p")
            ).data()
            ties = await (await session.run(_TIES)).data()
        return [_shown(nodes), _shown(ties)]


_TIES = """
MATCH (a)-[r]->(b)
RETURN properties(a) AS a, type(r) AS t, properties(r) AS r, properties(b) AS b
"""
_TEXTS = "select to_json(s)::text as j from public.student_responses s"


async def _value(client: Redis, key: bytes) -> Any:
    kind: Any = await client.type(key)
    if kind == b"stream":
        groups: Any = await client.xinfo_groups(key)
        pending = [await client.xpending(key, group["name"]) for group in groups]
        return [key, await client.xrange(key), groups, pending]
    if kind == b"zset":
        return [key, await client.zrange(key, 0, -1)]
    reads: Any = {b"hash": client.hgetall, b"set": client.smembers, b"string": client.get}
    return [key, await reads[kind](key)]


def _shown(value: Any) -> str:
    """A value with all escapes taken out, however deep its texts lie."""
    text = repr(value)
    while "\\\\" in text:
        text = text.replace("\\\\", "\\")
    return text
