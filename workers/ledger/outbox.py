"""The transactional outbox: changes that were stored and are yet to be published."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from workers.estimation.learner import LearnerKey


class Change(NamedTuple):
    """A change of a concept's mastery that subscribers are to hear about."""

    concept_id: str
    data: dict[str, Any]
    """`contracts.mastery.MasteryData` without its version, which the ledger gives."""


class PendingChange(NamedTuple):
    """A stored change that was not published yet."""

    number: int
    """Rises in the order of writing."""
    key: LearnerKey
    version: int
    written_at_us: int
    """Microseconds since 1970."""
    change: Change


class OutboxLedger(Protocol):
    """Hands out pending changes, and forgets them once they are published."""

    async def pending_changes(self, limit: int = 500, lease_s: float = 30.0) -> list[PendingChange]:
        """Take pending changes, the oldest first.

        Args:
            limit: the most to take.
            lease_s: seconds after which another caller gets those that are still stored.
        """
        ...

    async def forget_changes(self, numbers: Sequence[int]) -> None:
        """Forget changes that were published."""
        ...
