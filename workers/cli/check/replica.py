"""Check the replica: its kind, and how far it is behind."""

import asyncio
from contextlib import AsyncExitStack
from time import monotonic
from typing import Final

from workers.cli.check.findings import Findings
from workers.ledger.sql.replica import ReplicaLedger, primary_position

_SOON_S: Final = 5.0
"""A replica that is behind for longer than this is worth a warning, seconds."""
_POLL_S: Final = 0.1


async def check_replica(dsn: str, primary: str, stack: AsyncExitStack) -> Findings:
    """Check the replica that commands read from.

    Args:
        dsn: DSN of the replica.
        primary: DSN of the primary.
        stack: closes the connections.

    Raises:
        LedgerUnavailable: one of the two is away.
        LedgerRefused: one of the two refuses us, or the replica is none.
    """
    ledger = ReplicaLedger(dsn, primary)
    stack.push_async_callback(ledger.close)
    position = await primary_position(primary)
    began = monotonic()
    while behind := await ledger.behind(position):
        if monotonic() - began > _SOON_S:
            text = (
                f"it was {behind:,} bytes of journal behind the primary after {_SOON_S:g} s: "
                "commands wait for it as long as LEDGER_TIMEOUT_S, then refuse"
            )
            return Findings("a streaming replica", warnings=[text])
        await asyncio.sleep(_POLL_S)
    return Findings("a streaming replica, up to date")
