"""The graph on Neo4j 5 or newer, over the official driver."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC
from typing import Any, TypeVar

from neo4j import (
    AsyncDriver,
    AsyncGraphDatabase,
    AsyncTransaction,
    NotificationMinimumSeverity,
)
from neo4j.time import DateTime
from typing_extensions import override

from workers.common.errors import GraphRefused, GraphUnavailable
from workers.graph import constraints
from workers.graph.changes import GraphChange
from workers.graph.cypher_graph import CypherGraph
from workers.graph.failures import translated
from workers.graph.scripts import Script, run_async
from workers.graph.statements import PROBE, Merge, Row, script, statement
from workers.graph.whole_batch import whole_batch

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Limits:
    """Longest waits before the graph counts as unavailable, in seconds."""

    connect_s: float = 5.0
    """Opening a connection, handshake included."""
    acquire_s: float = 10.0
    """Getting a connection from the pool."""
    transaction_s: float = 30.0
    """A transaction, as the server and as we measure it."""
    ping_s: float = 3.0


class Neo4jGraph(CypherGraph):
    """A graph on Neo4j. It never retries; its caller does.

    Args:
        uri: ``neo4j://``, ``bolt://`` or one of their variants with TLS.
        username: the user.
        password: the password of that user.
        database: the database; None for the server's default.
        limits: the longest waits.

    Raises:
        GraphRefused: the URI is not valid.
    """

    def __init__(
        self,
        uri: str,
        username: str,
        password: str,
        database: str | None = None,
        *,
        limits: Limits | None = None,
    ) -> None:
        self._limits = limits or Limits()
        self._database = database
        with translated():
            self._driver: AsyncDriver = AsyncGraphDatabase.driver(
                uri,
                auth=(username, password),
                connection_timeout=self._limits.connect_s,
                connection_acquisition_timeout=self._limits.acquire_s,
                max_connection_pool_size=16,
                max_transaction_retry_time=0,
                notifications_min_severity=NotificationMinimumSeverity.OFF,
                telemetry_disabled=True,
                user_agent="mastery-engine",
            )

    async def prepare(self) -> None:
        """Create the constraints.

        Raises:
            GraphRefused: also if a constraint is still missing because its name is taken.
        """
        async with self._transaction() as transaction:
            for text in script("constraints"):
                await _run(transaction, text)
            await transaction.commit()
        if wrong := constraints.missing(await self._constraints()):
            raise GraphRefused("; ".join(wrong))

    @override
    async def faults(self) -> list[str]:
        existing = await self._constraints()
        wrong = constraints.missing(existing) + constraints.foreign(existing)
        try:
            async with self._transaction() as transaction:
                for text, rows in self._merging(PROBE):
                    await _run(transaction, text, {"rows": rows})
                await transaction.rollback()
        except GraphRefused as error:
            wrong.append(f"a trial merge, taken back at once, failed: {error}")
        return wrong

    @override
    async def ping(self) -> None:
        async with self._transaction(self._limits.ping_s) as transaction:
            await _run(transaction, statement("ping"))

    async def version(self) -> str:
        """Return the server's version, such as ``5.26.0``.

        Raises:
            GraphUnavailable: the server can't be reached.
        """
        with translated():
            agent = (await self._driver.get_server_info()).agent
        return agent.rpartition("/")[2]

    @override
    async def close(self) -> None:
        with translated(), suppress(TimeoutError):
            async with asyncio.timeout(self._limits.connect_s):
                await self._driver.close()

    async def _constraints(self) -> list[Row]:
        return await self._read(statement("show_constraints"), {})

    @override
    def _merging(self, changes: Sequence[GraphChange]) -> list[Merge]:
        return whole_batch(changes)

    @override
    async def _read(self, text: str, parameters: dict[str, Any]) -> list[Row]:
        async with self._transaction() as transaction:
            return await _run(transaction, text, parameters)

    @override
    async def _together(self, work: Script[_Result]) -> _Result:
        async with self._transaction() as transaction:

            async def execute(merge: Merge) -> list[Row]:
                return await _run(transaction, merge.statement, {"rows": merge.rows})

            result = await run_async(work, execute)
            await transaction.commit()
            return result

    @asynccontextmanager
    async def _transaction(self, limit_s: float | None = None) -> AsyncIterator[AsyncTransaction]:
        """Open an explicit transaction, which the driver does not retry, within a time limit."""
        limit = limit_s or self._limits.transaction_s
        # A hanging server or a network that drops packets never answers. Our limit is the longer
        # one, so that a server that does answer can say what it waited for.
        ours = self._limits.connect_s + limit
        with translated():
            try:
                async with (
                    asyncio.timeout(ours),
                    self._driver.session(database=self._database) as session,
                    await session.begin_transaction(timeout=limit) as transaction,
                ):
                    yield transaction
            except TimeoutError as error:
                raise GraphUnavailable(f"no answer within {ours:g} s") from error


async def _run(
    transaction: AsyncTransaction, text: str, parameters: dict[str, Any] | None = None
) -> list[Row]:
    # All statements are files of this package; ids are always parameters.
    result = await transaction.run(text, parameters or {})
    return [
        {name: _native(value) for name, value in record.data().items()} async for record in result
    ]


def _native(value: Any) -> Any:
    return value.to_native().astimezone(UTC) if isinstance(value, DateTime) else value
