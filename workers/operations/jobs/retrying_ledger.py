"""A ledger that waits for its database, for work that resumes after an outage."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from typing_extensions import override

from workers.common.errors import LedgerTooSlow
from workers.common.retrying import Retrying
from workers.estimation.learner import LearnerKey, Position
from workers.ledger.repair import RepairLedger, Rewrite
from workers.ledger.rows import AuditPage, Stored

Result = TypeVar("Result")


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
    async def stored(
        self, keys: Sequence[LearnerKey], most_answers: int | None = None
    ) -> list[Stored]:
        return await self._sized(lambda: self._ledger.stored(keys, most_answers))

    @override
    async def audit_page(self, key: LearnerKey, after: Position | None, limit: int) -> AuditPage:
        return await self._sized(lambda: self._ledger.audit_page(key, after, limit))

    @override
    async def published(self, key: LearnerKey, response_ids: Sequence[str]) -> AuditPage:
        return await self._sized(lambda: self._ledger.published(key, response_ids))

    async def _sized(self, request: Callable[[], Awaitable[Result]]) -> Result:
        """Repeat a request, unless it takes too long: then the caller asks for less."""

        async def attempt() -> Result | LedgerTooSlow:
            try:
                return await request()
            except LedgerTooSlow as error:
                return error

        result = await self._retrying.call(attempt)
        if isinstance(result, LedgerTooSlow):
            raise result
        return result

    @override
    async def rewrite(self, rewrites: Sequence[Rewrite]) -> list[int | None]:
        return await self._retrying.call(lambda: self._ledger.rewrite(rewrites))

    @override
    async def seal(self, audited: Sequence[Stored], *, accept: bool = False) -> list[int | None]:
        return await self._retrying.call(lambda: self._ledger.seal(audited, accept=accept))
