"""Find out whether a pooler of connections answers in the place of Postgres.

A transaction pooler (PgBouncer with ``pool_mode = transaction``, Supavisor on port 6543) gives a
client another connection for each transaction: prepared statements and session locks do not last.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import Enum
from typing import TYPE_CHECKING, Final

import asyncpg

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]

_PROCESS: Final = "select pg_backend_pid()"


class Way(Enum):
    """What answers at a DSN."""

    SERVER = "the server itself"
    POOLER = "a pooler, perhaps of sessions"
    TRANSACTION_POOLER = "a transaction pooler"


async def way(dsn: str, timeout_s: float) -> Way:
    """Ask what answers at a DSN.

    A pooler has keys of its own for cancelling, so the process that a key names is not the one that
    answers. Two clients that are connected at the same time and get the same process share it: the
    pooler is one of transactions. A pooler that has many free connections may give each client
    another one, so `POOLER` does not prove that sessions last.

    Args:
        dsn: as `workers.common.postgres_dsn.address` returns it.
        timeout_s: limit of each connecting and of each question, seconds.

    Raises:
        Exception: what asyncpg raises, such as OSError and PostgresError.
    """
    async with _asking(dsn, timeout_s) as first:
        answering = await first.fetchval(_PROCESS)
        if answering == first.get_server_pid():
            return Way.SERVER
        async with _asking(dsn, timeout_s) as second:
            shared = await second.fetchval(_PROCESS) == answering
    return Way.TRANSACTION_POOLER if shared else Way.POOLER


@asynccontextmanager
async def _asking(dsn: str, timeout_s: float) -> AsyncIterator["Connection"]:
    connection = await asyncpg.connect(
        dsn, timeout=timeout_s, command_timeout=timeout_s, statement_cache_size=0
    )
    try:
        yield connection
    finally:
        await connection.close(timeout=timeout_s)
