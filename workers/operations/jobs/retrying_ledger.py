"""A ledger that waits for its database, for work that resumes after an outage."""

from collections.abc import Sequence

from typing_extensions import override

from workers.common.retrying import Retrying
from workers.estimation.learner import LearnerKey
from workers.ledger.repair import RepairLedger, Rewrite
from workers.ledger.rows import Stored


class RetryingLedger(RepairLedger):
    """Repeats each call until it is answered; all of them may be repeated.

    Args:
        ledger: the system of record.
        retrying: waits while the database is away.
    """

    def __init__(self, ledger: RepairLedger, retrying: Retrying) -> None:
        self._ledger = ledger
        self._retrying = retrying

    @override
    async def holders(self, after: LearnerKey | None = None, limit: int = 500) -> list[LearnerKey]:
        return await self._retrying.call(lambda: self._ledger.holders(after, limit))

    @override
    async def learners(self, after: LearnerKey | None = None, limit: int = 500) -> list[LearnerKey]:
        return await self._retrying.call(lambda: self._ledger.learners(after, limit))

    @override
    async def sample(self, count: int) -> list[LearnerKey]:
        return await self._retrying.call(lambda: self._ledger.sample(count))

    @override
    async def stored(self, keys: Sequence[LearnerKey]) -> list[Stored]:
        return await self._retrying.call(lambda: self._ledger.stored(keys))

    @override
    async def rewrite(self, rewrites: Sequence[Rewrite]) -> list[int | None]:
        return await self._retrying.call(lambda: self._ledger.rewrite(rewrites))

    @override
    async def seal(self, audited: Sequence[Stored], *, accept: bool = False) -> list[int | None]:
        return await self._retrying.call(lambda: self._ledger.seal(audited, accept=accept))
