"""The transactional outbox over its SQL functions."""

from collections.abc import Sequence

from typing_extensions import override

from workers.estimation.learner import LearnerKey
from workers.ledger.outbox import Change, OutboxLedger, PendingChange
from workers.ledger.sql.answers import as_promised
from workers.ledger.sql.arrays import plain
from workers.ledger.sql.functions import SqlFunctions


class SqlOutbox(SqlFunctions, OutboxLedger):
    """Calls `mastery_untold` and `mastery_told`."""

    @override
    async def pending_changes(self, limit: int = 500, lease_s: float = 30.0) -> list[PendingChange]:
        answer = await self._call("mastery_untold", {"limit": limit, "lease_s": lease_s})
        with as_promised("mastery_untold"):
            return [
                PendingChange(
                    number, LearnerKey(tenant, student), version, at, Change(concept_id, data)
                )
                for number, tenant, student, concept_id, version, at, data in answer
            ]

    @override
    async def forget_changes(self, numbers: Sequence[int]) -> None:
        await self._call("mastery_told", {"ids": plain(numbers)})
