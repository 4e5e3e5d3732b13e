"""The ledger over a connection to Postgres: direct, session pooler or transaction pooler."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

import asyncpg
import orjson

from workers.common.errors import LedgerRefused, LedgerUnavailable, MasteryError, Unstorable
from workers.common.postgres_dsn import address
from workers.ledger.sql.documents import encoded
from workers.ledger.sql.ledger import SqlLedger
from workers.ledger.sql.pooler import Way, way
from workers.ledger.sql.sqlstate import ledger_error

CONNECT_S: Final = 5.0
"""The longest wait for a connection: once the network is back, the next try is soon."""
_SPENT: Final = frozenset(("0A000", "25P02"))
"""SQLSTATEs after which a connection, or the pooler's behind it, is not used again."""
_RELEASE_S: Final = 1.0
"""The time that an abandoned call gives the server to cancel it, before it disconnects."""

LIBRARY_ERRORS: Final = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
    UnicodeError,
)
"""All that asyncpg raises; the last three pass through it, for an invalid host name too."""
_MISCONFIGURED: Final = (
    asyncpg.ClientConfigurationError,
    asyncpg.UnsupportedClientFeatureError,
    asyncpg.UnsupportedServerFeatureError,
    UnicodeError,
)


class DirectLedger(SqlLedger):
    """Calls the ledger's functions with asyncpg.

    Args:
        dsn: ``postgresql://…``; ``pgbouncer=true`` in its query or port 6543: a transaction pooler,
            through which no prepared statement is kept. Without either, the first call asks
            whether a pooler of any mode answers, and keeps none then.
        timeout_s: limit of one call, in seconds; connecting has a limit of 5 s, if that is less.
        connections: the most connections.
    """

    variable = "DATABASE_URL"
    """The setting that names the database."""

    def __init__(self, dsn: str, *, timeout_s: float = 15.0, connections: int = 4) -> None:
        self._dsn, self._pooled = address(dsn)
        self._timeout_s = timeout_s
        self._connect_s = min(timeout_s, CONNECT_S)
        self._connections = connections
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None
        self._opening = asyncio.Lock()

    async def _connected(self) -> "asyncpg.Pool[asyncpg.Record]":
        # Without the lock two first calls would each open a pool, and one would leak.
        async with self._opening:
            if self._pool is None:
                pooled = self._pooled
                if pooled is None:
                    # Of two workers behind a pooler, each would meet the other's statements, under
                    # the same names.
                    pooled = await way(self._dsn, self._connect_s) is not Way.SERVER
                self._pool = await asyncpg.create_pool(
                    self._dsn,
                    min_size=0,
                    max_size=self._connections,
                    timeout=self._connect_s,
                    command_timeout=self._timeout_s,
                    statement_cache_size=0 if pooled else 100,
                    reset=_leave_as_it_is,
                    server_settings={"application_name": "mastery-engine"},
                )
            return self._pool

    async def _call(self, function: str, document: dict[str, Any]) -> Any:
        # The name is one of ours, never input.
        statement = f"select public.{function}($1::jsonb)"
        try:
            pool = await self._connected()
            connection = await pool.acquire(timeout=self._timeout_s)
            try:
                answer = await connection.fetchval(statement, encoded(document).decode())
            except asyncpg.PostgresError as error:
                if error.sqlstate in _SPENT:
                    connection.terminate()
                raise
            finally:
                # It closes a connection that does not answer; the answer or error stays the same.
                with suppress(*LIBRARY_ERRORS):
                    await pool.release(connection, timeout=_RELEASE_S)
            return orjson.loads(answer)
        except LIBRARY_ERRORS as error:
            raise from_asyncpg(error, self.variable) from error

    async def close(self) -> None:
        """Close all connections and abandon calls in flight."""
        if self._pool is not None:
            self._pool.terminate()
            self._pool = None


async def _leave_as_it_is(_: object) -> None:
    """Take the place of asyncpg's reset, one more request a call: a call leaves no state behind."""


async def server_version(dsn: str) -> int:
    """Return the version of the Postgres at a DSN, such as 150004 for 15.4.

    Raises:
        LedgerUnavailable: it can't be reached.
        LedgerRefused: the DSN or the login is wrong.
    """
    with ledger_errors():
        connection = await asyncpg.connect(
            address(dsn).dsn, timeout=CONNECT_S, statement_cache_size=0
        )
        try:
            return int(await connection.fetchval("show server_version_num"))
        finally:
            await connection.close(timeout=CONNECT_S)


@contextmanager
def ledger_errors(variable: str = DirectLedger.variable) -> Iterator[None]:
    """Translate what asyncpg raises inside into errors of the ledger.

    Args:
        variable: the setting that names the database.
    """
    try:
        yield
    except LIBRARY_ERRORS as error:
        raise from_asyncpg(error, variable) from error


def from_asyncpg(error: Exception, variable: str = DirectLedger.variable) -> MasteryError:
    """Translate one of `LIBRARY_ERRORS`; `variable` is the setting that names the database."""
    reason = str(error) or type(error).__name__
    if isinstance(error, asyncpg.PostgresError):
        return ledger_error(error.sqlstate or "no state", reason)
    if isinstance(error, asyncpg.DataError):
        return Unstorable(reason)
    if isinstance(error, _MISCONFIGURED):
        return LedgerRefused(f"{variable} can't be used: {reason}; correct it")
    return LedgerUnavailable(f"{reason}; is {variable} right?")
