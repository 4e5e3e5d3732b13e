"""Servers of a bench, reserved from those that `.ci/servers.sh start` names."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.support.servers import (
    Neo4j,
    Supabase,
    exclusive_supabase,
    fresh_database,
    server_variables,
)
from tests.support.whole_run import Setting


def supabase_project() -> Supabase:
    return Supabase(
        *server_variables(
            "TEST_SUPABASE_URL",
            "TEST_SUPABASE_SERVICE_ROLE_KEY",
            "TEST_SUPABASE_PUBLISHABLE_KEY",
            "TEST_SUPABASE_DATABASE_URL",
            "TEST_JWT_SECRET",
        )
    )


def neo4j_server() -> Neo4j:
    return Neo4j(*server_variables("TEST_NEO4J_URI", "TEST_NEO4J_USERNAME", "TEST_NEO4J_PASSWORD"))


@asynccontextmanager
async def setting_of(
    ledger: str, redis_url: str, graph: dict[str, str] | None = None
) -> AsyncIterator[Setting]:
    """Make an empty ledger, and return the settings of workers that use it.

    Args:
        ledger: `direct` or `supabase`.
        redis_url: Redis.
        graph: settings of Neo4j; None: an embedded graph.
    """
    graph = graph or {}
    if ledger == "supabase":
        async with exclusive_supabase(supabase_project()) as supabase:
            yield Setting(redis_url, supabase.environment, supabase.database_url, graph)
    else:
        (admin,) = server_variables("TEST_DATABASE_URL")
        async with fresh_database(admin, migrated=True) as dsn:
            yield Setting(redis_url, {"DATABASE_URL": dsn}, dsn, graph)
