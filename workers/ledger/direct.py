"""The ledger over a connection to Postgres: direct, session pooler or transaction pooler."""

from typing import Any, Final
from urllib.parse import urlsplit

import asyncpg
import orjson

from workers.errors import LedgerUnavailable
from workers.ledger.contract import SqlLedger
from workers.ledger.documents import encoded
from workers.ledger.sqlstate import ledger_error

_TRANSACTION_POOLER_PORT: Final = 6543
"""Supabase's transaction pooler, behind which prepared statements do not survive."""


class DirectLedger(SqlLedger):
    """Calls the ledger's functions with asyncpg.

    Args:
        dsn: ``postgresql://…``; on port 6543 no prepared statement is kept.
        timeout_s: limit of one call, connecting included, in seconds.
        connections: at most so many connections.
    """

    def __init__(self, dsn: str, *, timeout_s: float = 15.0, connections: int = 4) -> None:
        self._dsn = dsn
        self._timeout_s = timeout_s
        self._connections = connections
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None

    async def _connected(self) -> "asyncpg.Pool[asyncpg.Record]":
        if self._pool is None:
            pooled = urlsplit(self._dsn).port == _TRANSACTION_POOLER_PORT
            self._pool = await asyncpg.create_pool(
                self._dsn,
                min_size=0,
                max_size=self._connections,
                timeout=self._timeout_s,
                command_timeout=self._timeout_s,
                statement_cache_size=0 if pooled else 100,
                server_settings={"application_name": "mastery-engine"},
            )
        return self._pool

    async def _call(self, function: str, document: dict[str, Any]) -> Any:
        # The name is one of ours, never input.
        statement = f"select public.{function}($1::jsonb)"  # noqa: S608
        try:
            pool = await self._connected()
            async with pool.acquire(timeout=self._timeout_s) as connection:
                return orjson.loads(
                    await connection.fetchval(statement, encoded(document).decode())
                )
        except asyncpg.PostgresError as error:
            raise ledger_error(error.sqlstate or "XX000", str(error)) from error
        except (
            OSError,
            TimeoutError,
            asyncpg.InterfaceError,
            asyncpg.InternalClientError,
        ) as error:
            reason = str(error) or type(error).__name__
            raise LedgerUnavailable(f"{reason}; is DATABASE_URL right?") from error

    async def close(self) -> None:
        """Close all connections; calls under way are given up."""
        if self._pool is not None:
            self._pool.terminate()
            self._pool = None
