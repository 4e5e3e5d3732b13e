"""The outbox of a ledger in memory."""

import time
from collections.abc import Sequence

from typing_extensions import override

from workers.ledger.memory.tables import MemoryTables
from workers.ledger.outbox import OutboxLedger, PendingChange


class MemoryOutbox(MemoryTables, OutboxLedger):
    """Hands out pending changes as the SQL functions do."""

    @override
    async def pending_changes(self, limit: int = 500, lease_s: float = 30.0) -> list[PendingChange]:
        now = time.monotonic()
        free = [
            number
            for number in self._pending
            if self._taken_at.get(number, now - lease_s - 1) < now - lease_s
        ]
        for number in free[:limit]:
            self._taken_at[number] = now
        return [self._pending[number] for number in free[:limit]]

    @override
    async def forget_changes(self, numbers: Sequence[int]) -> None:
        for number in numbers:
            self._pending.pop(number, None)
            self._taken_at.pop(number, None)
