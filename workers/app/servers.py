"""Connect to the servers in the settings, or start embedded ones.

Each function imports the adapter that it opens: the libraries of all of them together take a third
of the time in which a process starts.
"""

import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from faststream.redis import RedisBroker
from redis.asyncio import Redis

from workers.common.tasks import GRACE_S
from workers.config.settings import Settings
from workers.graph.protocol import Graph
from workers.ledger.protocol import Ledger
from workers.streams.cluster.broker import ClusterBroker
from workers.streams.connection import client_of


@dataclass(frozen=True, slots=True)
class Servers:
    """Open connections to all servers of a process.

    Args:
        broker: FastStream's broker, not started.
        redis: a plain client of the same Redis.
        ledger: the system of record.
        graph: the graph of learners.
    """

    broker: RedisBroker
    redis: Redis
    ledger: Ledger
    graph: Graph


@asynccontextmanager
async def open_servers(settings: Settings, *, read_only: bool = False) -> AsyncIterator[Servers]:
    """Connect to the servers in the settings; start an embedded server for each missing one.

    Connections are made at their first use, so an unavailable server is noticed only then.

    Args:
        settings: the settings.
        read_only: True if the ledger is only read, from a replica if there is one.
    """
    async with AsyncExitStack() as stack:
        broker, client = await open_redis(settings, stack)
        open_one = open_reading_ledger if read_only else open_ledger
        ledger = await open_one(settings, stack)
        graph = await open_graph(settings, stack)
        yield Servers(broker, client, ledger, graph)


async def open_redis(settings: Settings, stack: AsyncExitStack) -> tuple[RedisBroker, Redis]:
    """Open the Redis in the settings, as a broker and as a plain client; the stack closes it."""
    logger = logging.getLogger("faststream")
    if settings.redis_url is None:
        from workers.streams.embedded_redis import EmbeddedRedis

        embedded = EmbeddedRedis()
        stack.push_async_callback(embedded.close)
        return embedded.broker(logger=logger, graceful_timeout=GRACE_S), embedded.client()
    client = client_of(settings.redis_url, health_check_interval=30)
    stack.push_async_callback(client.aclose)
    broker = ClusterBroker if settings.redis_cluster else RedisBroker
    return broker(settings.redis_url, logger=logger, graceful_timeout=GRACE_S), client


async def open_ledger(settings: Settings, stack: AsyncExitStack) -> Ledger:
    """Open the ledger in the settings; the stack closes it."""
    ledger: Ledger
    if settings.database_url is not None:
        from workers.ledger.sql.direct import DirectLedger

        ledger = DirectLedger(
            settings.database_url.get_secret_value(), timeout_s=settings.ledger_timeout_s
        )
    elif settings.supabase_url is not None and settings.supabase_service_role_key is not None:
        from workers.ledger.sql.postgrest import PostgrestLedger

        ledger = PostgrestLedger(
            settings.supabase_url,
            settings.supabase_service_role_key.get_secret_value(),
            timeout_s=settings.ledger_timeout_s,
        )
    else:
        from workers.ledger.schema.embedded import EmbeddedPostgres
        from workers.ledger.sql.direct import DirectLedger

        postgres = EmbeddedPostgres(_directory(settings, "postgres"), settings.jwt_tenant_claim)
        await postgres.start()
        stack.push_async_callback(postgres.stop)
        ledger = DirectLedger(postgres.dsn, timeout_s=settings.ledger_timeout_s)
    stack.push_async_callback(ledger.close)
    return ledger


async def open_reading_ledger(settings: Settings, stack: AsyncExitStack) -> Ledger:
    """Open the replica in the settings, else the ledger, to read only; the stack closes it."""
    if settings.database_replica_url is None or settings.database_url is None:
        return await open_ledger(settings, stack)
    from workers.ledger.sql.replica import ReplicaLedger

    ledger = ReplicaLedger(
        settings.database_replica_url.get_secret_value(),
        settings.database_url.get_secret_value(),
        timeout_s=settings.ledger_timeout_s,
    )
    stack.push_async_callback(ledger.close)
    return ledger


async def open_graph(settings: Settings, stack: AsyncExitStack) -> Graph:
    """Open the graph in the settings; the stack closes it."""
    graph: Graph
    if settings.neo4j_uri is not None and settings.neo4j_password is not None:
        from workers.graph.neo4j import Neo4jGraph

        graph = Neo4jGraph(
            settings.neo4j_uri,
            settings.neo4j_username,
            settings.neo4j_password.get_secret_value(),
            database=settings.neo4j_database,
        )
    else:
        from workers.graph.embedded import EmbeddedGraph

        graph = EmbeddedGraph(_directory(settings, "graph"))
    stack.push_async_callback(graph.close)
    return graph


def _directory(settings: Settings, name: str) -> Path | None:
    """Return the directory of an embedded server; None if its data ends with the process."""
    return settings.embedded_directory / name if settings.embedded_directory else None
