"""Servers of a run, and the processor time that each of them uses."""

from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import psutil  # type: ignore[import-untyped]  # has no types of its own

from bench.processor_time import family, listening_on, process_of_port, used_s
from bench.settings import neo4j_server, supabase_project
from bench.speed.cases import Contender
from tests.faults.servers import RedisServer, scratch
from tests.support.servers import (
    Neo4j,
    Supabase,
    exclusive_neo4j,
    exclusive_supabase,
    server_variables,
)


@dataclass
class Servers:
    """Servers that contenders share.

    Args:
        redis_url: a Redis of this run alone.
        admin: DSN of a superuser, who makes databases.
        supabase: a project reserved for this run; None: nobody needs it.
        neo4j: reserved for this run; None: nobody needs it.
        processes: processes of each server but Postgres, by the server's name.
    """

    redis_url: str
    admin: str
    supabase: Supabase | None
    neo4j: Neo4j | None
    processes: dict[str, list[psutil.Process]]

    def used_s(self, contender: Contender, ledger: str) -> dict[str, float]:
        """Return the processor time so far of each server that a contender uses.

        The others work in the background only, for nobody.
        """
        idle = set() if contender.needs_neo4j else {"Neo4j"}
        if contender.cluster:
            idle.add("Redis")
        if not contender.needs_supabase and ledger != "supabase":
            idle |= {"PostgREST", "gateway"}
        return {
            name: sum(map(used_s, some))
            for name, some in self.processes.items()
            if name not in idle
        }


@asynccontextmanager
async def servers(contenders: Iterable[Contender], ledger: str) -> AsyncIterator[Servers]:
    """Start a Redis, and reserve the other servers that contenders need.

    Args:
        contenders: those of one run.
        ledger: how our workers reach Postgres, `direct` or `supabase`.
    """
    contenders = list(contenders)
    (admin,) = server_variables("TEST_DATABASE_URL")
    supabase = neo4j = None
    processes = {}
    async with AsyncExitStack() as stack:
        redis = RedisServer(stack.enter_context(scratch()) / "redis", fsync="everysec")
        stack.callback(redis.process.stop)
        await redis.start()
        await redis.set("save", "")
        processes["Redis"] = family(listening_on(redis.port))
        if ledger == "supabase" or any(side.needs_supabase for side in contenders):
            supabase = await stack.enter_async_context(exclusive_supabase(supabase_project()))
            processes["PostgREST"] = family(await _postgrest(supabase.database_url))
            processes["gateway"] = family(listening_on(_port(supabase.url)))
        if any(side.needs_neo4j for side in contenders):
            neo4j = await stack.enter_async_context(exclusive_neo4j(neo4j_server()))
            processes["Neo4j"] = family(listening_on(_port(neo4j.uri)))
        yield Servers(redis.url, admin, supabase, neo4j, processes)


def _port(url: str) -> int:
    port = urlsplit(url).port
    if port is None:
        raise SystemExit(f"{url} names no port: which process serves it is not known")
    return port


async def _postgrest(dsn: str) -> int:
    connection: Any = await asyncpg.connect(dsn)
    try:
        port = await connection.fetchval(
            "select client_port from pg_stat_activity "
            "where datname = current_database() and usename = 'authenticator' limit 1"
        )
    finally:
        await connection.close()
    return process_of_port(port)
