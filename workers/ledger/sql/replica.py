"""The ledger as a streaming replica has it, for commands that only read."""

import asyncio
from typing import Any, Final

import asyncpg
import structlog
from typing_extensions import override

from workers.common.errors import LedgerRefused, LedgerUnavailable
from workers.common.jitter import jittered_sleep
from workers.common.postgres_dsn import address
from workers.estimation.learner import LearnerKey
from workers.ledger.sql.direct import CONNECT_S, DirectLedger, ledger_errors

_log = structlog.get_logger(__name__)

VARIABLE: Final = "DATABASE_REPLICA_URL"
"""The setting that names the replica."""

_POLL_S: Final = 0.05
_CONFLICT: Final = "conflict with recovery"
"""A part of the message of Postgres when it cancels a query of a replica to replay on."""
_CONFLICTS: Final = 5
"""Tries of a call that such conflicts cancel."""
_NO_REPLICA: Final = (
    f"{VARIABLE} is no streaming replica, for it is not in recovery: name one, or leave the "
    "setting out"
)
_POSITION: Final = "select pg_current_wal_lsn()::text"
_REPLAYED: Final = """
select pg_is_in_recovery(),
       case when pg_is_in_recovery()
            then greatest(0, $1::text::pg_lsn - pg_last_wal_replay_lsn())::bigint end
"""


async def primary_position(dsn: str) -> str:
    """Return the position up to which a primary has written its journal, as text.

    Raises:
        LedgerUnavailable: it can't be reached, or is a replica itself.
        LedgerRefused: the DSN or the login is wrong.
    """
    with ledger_errors():
        connection = await asyncpg.connect(
            address(dsn).dsn, timeout=CONNECT_S, statement_cache_size=0
        )
        try:
            return str(await connection.fetchval(_POSITION))
        finally:
            await connection.close(timeout=CONNECT_S)


class ReplicaLedger(DirectLedger):
    """Reads from a replica, after it has replayed what the primary had at the first call.

    Each call is answered from one snapshot of the replica, so that a learner's log and state fit
    together however far behind it is. Waiting at the first call makes sure that what the caller
    has done before is seen. If the primary is away, the position is not known: the replica is read
    as it is, with a warning.

    Args:
        dsn: DSN of the replica.
        primary: DSN of the primary.
        timeout_s: limit of one call and of the wait for the replica, seconds.
    """

    variable = VARIABLE

    def __init__(self, dsn: str, primary: str, *, timeout_s: float = 15.0) -> None:
        super().__init__(dsn, timeout_s=timeout_s)
        self._primary = primary
        self._wait_s = timeout_s
        self._caught_up = False
        self._catching_up = asyncio.Lock()

    @override
    async def ping(self) -> None:
        # It can only be read.
        await self.values(LearnerKey("", ""), limit=1)

    @override
    async def _call(self, function: str, document: dict[str, Any]) -> Any:
        async with self._catching_up:
            if not self._caught_up:
                await self._catch_up()
                self._caught_up = True
        for _ in range(_CONFLICTS - 1):
            try:
                return await super()._call(function, document)
            except LedgerUnavailable as error:
                if _CONFLICT not in error.reason:
                    raise
                await jittered_sleep(1.0)
        return await super()._call(function, document)

    async def _catch_up(self) -> None:
        try:
            position = await primary_position(self._primary)
        except LedgerUnavailable as error:
            _log.warning("replica_lag_unknown", reason=error.reason)
            position = "0/0"
        end = asyncio.get_running_loop().time() + self._wait_s
        while behind := await self.behind(position):
            if asyncio.get_running_loop().time() > end:
                raise LedgerUnavailable(
                    f"the replica was {behind:,} bytes of journal behind the primary after "
                    f"{self._wait_s:g} s: try again later, raise LEDGER_TIMEOUT_S, or leave "
                    f"{VARIABLE} out to read from the primary"
                )
            await asyncio.sleep(_POLL_S)

    async def behind(self, position: str) -> int:
        """Return the bytes of journal that the replica has not replayed up to a position.

        Raises:
            LedgerUnavailable: the replica can't be reached.
            LedgerRefused: it is no replica.
        """
        with ledger_errors(VARIABLE):
            pool = await self._connected()
            recovering, bytes_behind = await pool.fetchrow(_REPLAYED, position)  # type: ignore[misc]  # always a row
        if not recovering:
            raise LedgerRefused(_NO_REPLICA)
        return int(bytes_behind or 0)
