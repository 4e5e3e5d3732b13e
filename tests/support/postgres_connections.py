"""Short connections to a Postgres, for a look or a change in between."""

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from workers.ledger.schema.embedded import EmbeddedPostgres


@asynccontextmanager
async def connected(dsn: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(dsn)
    try:
        yield connection
    finally:
        await connection.close()


async def value(dsn: str, query: str, *arguments: object) -> Any:
    async with connected(dsn) as connection:
        return await connection.fetchval(query, *arguments)


@asynccontextmanager
async def embedded_database(server: EmbeddedPostgres, *, migrated: bool) -> AsyncIterator[str]:
    """Create a database on an embedded Postgres, and drop it afterwards; yield its DSN.

    A migrated one is a copy of the server's own database, to which nobody may be connected.
    """
    name = f"t{uuid.uuid4().hex}"
    template = "postgres" if migrated else "template0"
    async with connected(_named(server, "template1")) as connection:
        await connection.execute(f"create database {name} template {template} strategy file_copy")
        try:
            yield _named(server, name)
        finally:
            await connection.execute(f"drop database {name} with (force)")


def _named(server: EmbeddedPostgres, name: str) -> str:
    return server.dsn.replace("/postgres?", f"/{name}?")
