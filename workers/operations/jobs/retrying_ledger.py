"""A ledger that waits for its database, for work that resumes after an outage."""

from collections.abc import Sequence

from workers.common.retrying import Retrying
from workers.estimation.learner import LearnerKey
from workers.ledger.repair import AuditLedger, Rewrite
from workers.ledger.rows import Stored


class RetryingLedger:
    """Repeats each call until it is answered; every call is idempotent.

    Args:
        ledger: the system of record.
        retrying: waits while the database is away.
    """

    def __init__(self, ledger: AuditLedger, retrying: Retrying) -> None:
        self._ledger = ledger
        self._retrying = retrying

    async def holders(self, after: LearnerKey | None = None, limit: int = 500) -> list[LearnerKey]:
        """See `AuditLedger.holders`."""
        return await self._retrying.call(lambda: self._ledger.holders(after, limit))

    async def learners(self, after: LearnerKey | None = None, limit: int = 500) -> list[LearnerKey]:
        """See `AuditLedger.learners`."""
        return await self._retrying.call(lambda: self._ledger.learners(after, limit))

    async def sample(self, count: int) -> list[LearnerKey]:
        """See `AuditLedger.sample`."""
        return await self._retrying.call(lambda: self._ledger.sample(count))

    async def stored(self, keys: Sequence[LearnerKey]) -> list[Stored]:
        """See `AuditLedger.stored`."""
        return await self._retrying.call(lambda: self._ledger.stored(keys))

    async def rewrite(self, rewrites: Sequence[Rewrite]) -> list[int | None]:
        """See `AuditLedger.rewrite`."""
        return await self._retrying.call(lambda: self._ledger.rewrite(rewrites))

    async def seal(self, audited: Sequence[Stored], *, accept: bool = False) -> list[int | None]:
        """See `AuditLedger.seal`."""
        return await self._retrying.call(lambda: self._ledger.seal(audited, accept=accept))
