"""Short connections to a Postgres, for a look or a change in between."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg


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
